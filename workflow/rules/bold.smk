# Stage 2: raw BIDS to preprocessed BOLD, confounds, masks and quality control, in fMRIPrep's naming.

# What the embedded engine reads of its section: the rest is for fMRIPrep and adopted derivatives.
EMBEDDED_ENGINE = section(
    "bold",
    leave_out=[
        "derivatives",
        "space",
        "desc",
        "start_time",
        "betas",
        "spheres",
        "fmriprep",
    ],
)


rule bold_check:
    """Refuse raw data that cannot be right, before anything long starts."""
    input:
        bold=lambda wildcards: inputs.raw_bold(study.files_of(wildcards.subject)),
        echoes=of_subject(inputs.echoes),
        sidecars=lambda wildcards: inputs.sidecars(
            inputs.raw_bold(study.files_of(wildcards.subject))
            + inputs.echoes(wildcards.subject)
        ),
        presentations=of_subject(inputs.presentations),
        movies=of_subject(inputs.movies_of),
    output:
        layout.checked(),
    log:
        layout.log("bold", "check-{subject}"),
    benchmark:
        layout.benchmark("bold", "check-{subject}")
    priority: 80
    conda:
        "../../envs/bold.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=30,
    params:
        cfg=EMBEDDED_ENGINE,
        code=code("bold.check"),
        labels=parameters.file_labels,
        shown=parameters.shown,
    shell:
        "python -m boldreel.bold.check --bold {input.bold:q} --labels {params.labels:q} --echoes {input.echoes:q} "
        "{params.shown:q} --output {output:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule bold_anatomy:
    """T1w to MNI: intensity, affine, brain mask."""
    input:
        t1w=of_subject(inputs.t1w),
    output:
        t1w=layout.preprocessed_anatomy("desc-preproc_T1w.nii.gz"),
        sidecar=layout.preprocessed_anatomy("desc-preproc_T1w.json"),
        mask=layout.preprocessed_anatomy("desc-brain_mask.nii.gz"),
        target=layout.preprocessed_anatomy("res-2_desc-brain_T1w.nii"),
        xfm=[
            layout.preprocessed_anatomy(
                "from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.txt"
            ),
            layout.preprocessed_anatomy(
                "from-MNI152NLin2009aSym_to-T1w_mode-image_xfm.txt"
            ),
        ],
        on_grid=[
            layout.preprocessed_anatomy(f"{layout.SPACE}_{name}.nii.gz")
            for name in (
                *("label-GM_probseg", "label-WM_probseg", "label-CSF_probseg"),
                "desc-brain_mask",
            )
        ],
    log:
        layout.log("bold", "anatomy-{subject}"),
    benchmark:
        layout.benchmark("bold", "anatomy-{subject}")
    priority: 80
    conda:
        "../../envs/bold.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        cfg=EMBEDDED_ENGINE,
        code=code("bold.anatomy"),
        folder=folder_of("mask"),
    shell:
        "python -m boldreel.bold.anatomy --t1w {input.t1w:q} --output {params.folder:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule bold_run:
    """One run: slice timing, motion, coregistration, one interpolation to MNI, confounds."""
    input:
        unpack(of_run(inputs.raw_run)),
        checked=layout.checked(),
        t1w=rules.bold_anatomy.output.t1w,
        anatomy=inputs.staged(rules.bold_anatomy.output),
    output:
        bold=layout.preprocessed_bold(),
        sidecar=layout.preprocessed_bold()[:-4] + ".json",
        confounds=layout.preprocessed_run("desc-confounds_timeseries.tsv"),
        about=layout.preprocessed_run("desc-confounds_timeseries.json"),
        mask=layout.preprocessed_run(f"{layout.SPACE}_desc-brain_mask.nii.gz"),
        boldref=layout.preprocessed_run(f"{layout.SPACE}_boldref.nii.gz"),
        xfm=[
            layout.preprocessed_run(
                "from-orig_to-boldref_mode-image_desc-hmc_xfm.txt"
            ),
            layout.preprocessed_run(
                "from-boldref_to-T1w_mode-image_desc-coreg_xfm.txt"
            ),
        ],
    log:
        layout.log("bold", "run-{subject}-{segment}-{repeat}"),
    benchmark:
        layout.benchmark("bold", "run-{subject}-{segment}-{repeat}")
    priority: 80
    conda:
        "../../envs/bold.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        cfg=EMBEDDED_ENGINE,
        code=code("bold.run"),
        anat=folder_of("t1w"),
    shell:
        "python -m boldreel.bold.run --bold {input.bold:q} --anat {params.anat:q} "
        "--output-bold {output.bold:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule bold_qc:
    """Quality of a subject's runs: motion, tSNR, carpet, coregistration; twins among runs refused."""
    input:
        bold=lambda wildcards: (
            [layout.run_table(wildcards.subject)]
            if study.adopted(wildcards.subject)
            else [
                layout.preprocessed_bold(wildcards.subject, run.segment, run.repeat)
                for run in study.files_of(wildcards.subject)
            ]
        ),
        beside=lambda wildcards: (
            []
            if study.adopted(wildcards.subject)
            else inputs.staged(inputs.run_quality(wildcards.subject))
        ),
        anatomy=lambda wildcards: (
            []
            if study.adopted(wildcards.subject)
            else inputs.staged(rules.bold_anatomy.output)
        ),
        raw=lambda wildcards: inputs.raw_bold(study.files_of(wildcards.subject)),
    output:
        table=layout.quality(),
        page=layout.quality_page(),
        figures=directory(layout.quality_figures()),
    log:
        layout.log("bold", "qc-{subject}"),
    benchmark:
        layout.benchmark("bold", "qc-{subject}")
    conda:
        "../../envs/bold.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=120,
    params:
        cfg=EMBEDDED_ENGINE,
        code=code("bold.qc"),
        runs=lambda wildcards, input: (
            ["--runs", *input.bold]
            if study.adopted(wildcards.subject)
            else [
                *("--derivatives", str(Path(input.bold[0]).parents[1])),
                *("--raw", *input.raw, "--bold", *input.bold),
            ]
        ),
    shell:
        "python -m boldreel.bold.qc --subject {wildcards.subject} {params.runs:q} "
        "--output-table {output.table:q} --output-figures {output.figures:q} "
        "--output-page {output.page:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule bold_twins:
    """No two subjects' runs may hold the same data."""
    input:
        expand(layout.quality(), subject=study.everybody),
    output:
        layout.twins(),
    log:
        layout.log("bold", "twins"),
    benchmark:
        layout.benchmark("bold", "twins")
    conda:
        "../../envs/bold.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=20,
    params:
        code=code("bold.duplicate_runs"),
        subjects=study.everybody,
    shell:
        "python -m boldreel.bold.duplicate_runs --subjects {params.subjects:q} --qc {input:q} "
        "--output {output:q} 2>&1 | tee {log:q}"


rule bold_fmriprep:
    """fMRIPrep of one subject in a container; its work directory is kept, so that it goes on."""
    input:
        bold=lambda wildcards: inputs.raw_bold(study.files_of(wildcards.subject)),
        echoes=of_subject(inputs.echoes),
        sidecars=lambda wildcards: inputs.sidecars(
            inputs.raw_bold(study.files_of(wildcards.subject))
            + inputs.echoes(wildcards.subject)
        ),
        checked=layout.checked(),
    output:
        layout.run_table(),
    log:
        layout.log("bold", "fmriprep-{subject}"),
    benchmark:
        layout.benchmark("bold", "fmriprep-{subject}")
    wildcard_constraints:
        subject=one_of(
            subject
            for subject in study.everybody
            if ENGINE.startswith("fmriprep") and not study.foreign(subject)
        ),
    priority: 80
    conda:
        "../../envs/bold.yaml"
    threads: config["bold"]["fmriprep"]["threads"]
    resources:
        mem_mb=memory(config["bold"]["fmriprep"]["memory"], factor=1),
        runtime=2880,
    params:
        cfg=json.dumps(
            config["bold"]["fmriprep"]
            | {key: config["bold"][key] for key in ("space", "start_time")},
            sort_keys=True,
        ),
        code=code("bold.fmriprep"),
        engine=ENGINE,
        labels=parameters.file_labels,
        filter=parameters.fmriprep_filter,
        bids=BIDS,
        derivatives=layout.derivatives("fmriprep"),
        work=layout.state("fmriprep", "sub-{subject}"),
    shell:
        "python -m boldreel.bold.fmriprep --engine {params.engine} --subject {wildcards.subject} "
        "--bold {input.bold:q} --labels {params.labels:q} {params.filter:q} --bids {params.bids:q} "
        "--derivatives {params.derivatives:q} --work {params.work:q} "
        "--threads {threads} --memory {resources.mem_mb} --output {output:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule bold_adopt:
    """Preprocessed runs of a subject that are there already: where they lie, held against raw data."""
    input:
        bold=lambda wildcards: inputs.raw_bold(study.files_of(wildcards.subject)),
        sidecars=lambda wildcards: inputs.sidecars(
            inputs.raw_bold(study.files_of(wildcards.subject))
        ),
        presentations=of_subject(inputs.presentations),
        movies=of_subject(inputs.movies_of),
    output:
        layout.run_table(),
    log:
        layout.log("bold", "adopt-{subject}"),
    benchmark:
        layout.benchmark("bold", "adopt-{subject}")
    wildcard_constraints:
        subject=one_of(
            subject
            for subject in study.everybody
            if ENGINE == "derivatives" or study.foreign(subject)
        ),
    priority: 80
    conda:
        "../../envs/bold.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        cfg=json.dumps(
            {key: config["bold"][key] for key in ("space", "desc", "start_time")}
            | ({"betas": config["bold"]["betas"]} if config["bold"]["betas"] else {})
        ),
        code=code("bold.import_derivatives"),
        labels=parameters.file_labels,
        shown=parameters.shown,
        tree=lambda wildcards: COHORT_TREE if study.foreign(wildcards.subject) else TREE,
        raw=lambda wildcards: (
            [] if study.foreign(wildcards.subject) else ["--raw", BIDS]
        ),
    shell:
        "python -m boldreel.bold.import_derivatives --derivatives {params.tree:q} {params.raw:q} "
        "--subject {wildcards.subject} --bold {input.bold:q} --labels {params.labels:q} "
        "{params.shown:q} --output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
