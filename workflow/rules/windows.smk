# Stage 4: which volumes answer which clip; lag and window, noise ceiling, leakage audit.


rule windows_kernels:
    """The haemodynamic response of each area: canonical, or learnt on training segments."""
    input:
        voxels=layout.voxels(),
        series=lambda wildcards: (
            inputs.series(wildcards.subject, "train") if study.learnt else []
        ),
        sidecars=lambda wildcards: (
            inputs.sidecars(inputs.series(wildcards.subject, "train"))
            if study.learnt
            else []
        ),
        presentations=layout.presentations() if study.learnt else [],
        clips=layout.clips() if study.learnt else [],
        features=lambda wildcards: inputs.features("train") if study.learnt else [],
    output:
        layout.hrf(),
    log:
        layout.log("windows", "kernels-{subject}"),
    benchmark:
        layout.benchmark("windows", "kernels-{subject}")
    priority: 60
    conda:
        "../../envs/windows.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=60,
    params:
        cfg=section("windows"),
        code=code("windows.kernels"),
        shown=lambda wildcards, input: (
            [
                *("--series", *input.series, "--presentations", input.presentations),
                *("--clips", input.clips, "--features", *input.features),
            ]
            if study.learnt
            else []
        ),
    shell:
        "python -m boldreel.windows.kernels --voxels {input.voxels:q} --output {output:q} "
        "{params.shown:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule windows_deconvolve:
    """The activity of one run: its series deconvolved with each area's response."""
    input:
        series=layout.series(),
        sidecar=layout.series_sidecar(),
        voxels=layout.voxels(),
        hrf=layout.hrf(),
    output:
        activity=layout.activity(),
        sidecar=layout.activity_sidecar(),
    log:
        layout.log("windows", "deconvolve-{subject}-{segment}-{repeat}"),
    benchmark:
        layout.benchmark("windows", "deconvolve-{subject}-{segment}-{repeat}")
    priority: 60
    conda:
        "../../envs/windows.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=20,
    params:
        cfg=section("windows", keep=["hrf"]),
        code=code("windows.deconvolve"),
    shell:
        "python -m boldreel.windows.deconvolve --series {input.series:q} --voxels {input.voxels:q} "
        "--hrf {input.hrf:q} --output {output.activity:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule windows_sweep:
    """Choose lag and window for a subject on held-out training segments; no test run is read."""
    input:
        unpack(responses("train", "validation")),
        presentations=layout.presentations(),
        voxels=layout.voxels(),
        clips=layout.clips(),
        features=lambda wildcards: inputs.features("train", "validation"),
    output:
        table=layout.sweep(),
        choice=layout.choice(),
    log:
        layout.log("windows", "sweep-{subject}"),
    benchmark:
        layout.benchmark("windows", "sweep-{subject}")
    priority: 60
    conda:
        "../../envs/windows.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=120,
    params:
        cfg=section("windows"),
        code=code("windows.sweep"),
    shell:
        "python -m boldreel.windows.sweep --subject {wildcards.subject} --series {input.series:q} "
        "--presentations {input.presentations:q} --voxels {input.voxels:q} --clips {input.clips:q} "
        "--features {input.features:q} --output-table {output.table:q} --output-choice {output.choice:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule windows_build:
    """One row per clip and run: the volumes that answer it, and the split it belongs to."""
    input:
        unpack(responses("train", "validation", "test")),
        choice=layout.choice(),
        presentations=layout.presentations(),
        clips=layout.clips(),
    output:
        layout.windows(),
    log:
        layout.log("windows", "build-{subject}"),
    benchmark:
        layout.benchmark("windows", "build-{subject}")
    priority: 60
    conda:
        "../../envs/windows.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=20,
    params:
        cfg=section("windows", keep=[]),
        code=code("windows.build"),
    shell:
        "python -m boldreel.windows.build --choice {input.choice:q} --series {input.series:q} "
        "--presentations {input.presentations:q} --clips {input.clips:q} --output {output:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule windows_ceiling:
    """The noise ceiling of every voxel, from repeats."""
    input:
        unpack(responses("train", "validation", "test")),
        windows=layout.windows(),
    output:
        layout.noise_ceiling(),
    log:
        layout.log("windows", "ceiling-{subject}"),
    benchmark:
        layout.benchmark("windows", "ceiling-{subject}")
    conda:
        "../../envs/windows.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=20,
    params:
        cfg=section("windows", keep=[]),
        code=code("windows.ceiling"),
        series=folder_of("series"),
    shell:
        "python -m boldreel.windows.ceiling --windows {input.windows:q} --series-dir {params.series:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule windows_intersubject:
    """What subjects who saw the same test clips share: the correlation of each with the mean of the others."""
    input:
        windows=expand(layout.windows(), subject=SUBJECTS),
        series=lambda wildcards: [
            path for subject in SUBJECTS for path in inputs.responses(subject, "test")
        ],
        sidecars=lambda wildcards: [
            path
            for subject in SUBJECTS
            for path in inputs.sidecars(inputs.responses(subject, "test"))
        ],
    output:
        layout.intersubject(),
    log:
        layout.log("windows", "intersubject"),
    benchmark:
        layout.benchmark("windows", "intersubject")
    conda:
        "../../envs/windows.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=120,
    params:
        cfg=section("windows", keep=["permutations", "min_shift"]),
        code=code("windows.intersubject"),
        subjects=SUBJECTS,
        series=folders_of("series"),
    shell:
        "python -m boldreel.windows.intersubject --subjects {params.subjects:q} --windows {input.windows:q} "
        "--series-dir {params.series:q} --output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule windows_audit:
    """What of the test could have leaked into training, counted."""
    input:
        clips=layout.clips(),
        windows=expand(layout.windows(), subject=SUBJECTS),
        frames=inputs.frames(),
        sidecars=inputs.frames_sidecars(),
        features=inputs.features(),
    output:
        layout.audit(),
    log:
        layout.log("windows", "audit"),
    benchmark:
        layout.benchmark("windows", "audit")
    conda:
        "../../envs/windows.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        cfg=section(
            "windows",
            keep=[
                "near_duplicate_caption",
                "near_duplicate_clip",
                "near_duplicate_pixels",
            ],
            combination=config["evaluate"]["combination"],
        ),
        betas=["--betas", config["bold"]["betas"]] if config["bold"]["betas"] else [],
        code=code("windows.audit"),
        stimuli=folders_of("frames"),
    shell:
        "python -m boldreel.windows.audit --clips {input.clips:q} --windows {input.windows:q} "
        "--stimuli {params.stimuli:q} {params.betas:q} --output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
