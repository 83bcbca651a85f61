# Stage 10: figures, and one self-contained page.

CAPTIONS = LIB / "boldreel" / "report" / "captions"
# What Snakemake's own report says under each figure; no job depends on it.
config["captions"] = {
    path.stem: path.read_text(encoding="utf-8") for path in CAPTIONS.glob("*.rst")
}


rule report_figures:
    """The group's figures, each with the data behind it."""
    input:
        metrics=f"{R}/group/metrics.tsv",
        clips=f"{R}/clips.parquet",
        frames=expand(f"{R}/stimuli/{{movie}}/frames.npy", movie=movies("test")),
        sidecars=staged(
            expand(f"{R}/stimuli/{{movie}}/frames.json", movie=movies("test"))
        ),
        positions=f"{R}/atlas/positions.parquet",
        pretrain=PRETRAINED,
        generator=f"{R}/generator/history.tsv",
        upper=[
            f"{R}/reconstruction/true_features/shard-{shard}"
            for shard in study.shards()
        ],
        reconstruction=expand(
            f"{R}/sub-{{subject}}/reconstruction/{METHOD}/shard-{{shard}}",
            subject=SUBJECTS,
            shard=study.shards(),
        ),
        subject_files=expand(
            f"{R}/sub-{{subject}}/{{name}}",
            subject=SUBJECTS,
            name=[
                "sweep.tsv",
                "noise_ceiling.parquet",
                "roi/voxels.parquet",
                "align/history.tsv",
                "align/repeats.tsv",
                "align/scaling.tsv",
                "align/rois.tsv",
                "align/attention.tsv",
                "align/attention.parquet",
                "cotrain",
                *(["hrf.tsv"] if study.deconvolved else []),
            ],
        ),
        methods=lambda wildcards: fits(),
        evidence=evidence(),
    output:
        report(
            directory(f"{R}/group/figures"),
            patterns=["{name}.png"],
            caption="../report/figures.rst",
            category="Figures",
        ),
    log:
        f"{LOGS}/report/figures.log",
    benchmark:
        f"{R}/benchmarks/report/figures.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=30,
    params:
        cfg=section(
            "report",
            keep=["sheet_clips", "strip_clips", "strip_bytes"],
            method=METHOD,
        ),
        code=code("report.figures"),
        results=folder_of("metrics", 2),
        subjects=SUBJECTS,
    shell:
        "python -m boldreel.report.figures --results {params.results:q} --subjects {params.subjects:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule report_page:
    """One HTML page with everything: videos, table, figures, audit, cost."""
    input:
        figures=f"{R}/group/figures",
        metrics=f"{R}/group/metrics.tsv",
        subject_files=expand(
            f"{R}/sub-{{subject}}/{{name}}",
            subject=SUBJECTS,
            name=[
                *("metrics.parquet", "nearest.tsv", "windows.parquet"),
                *("align/history.tsv", "choice.json"),
            ],
        ),
        clips=f"{R}/clips.parquet",
        # of the nearest training clips too
        frames=expand(f"{R}/stimuli/{{movie}}/frames.npy", movie=movies()),
        sidecars=staged(expand(f"{R}/stimuli/{{movie}}/frames.json", movie=movies())),
        reconstruction=expand(
            f"{R}/sub-{{subject}}/reconstruction/{METHOD}/shard-{{shard}}",
            subject=SUBJECTS,
            shard=study.shards(),
        ),
        controls=expand(
            f"{R}/sub-{{subject}}/reconstruction/control-{{control}}",
            subject=SUBJECTS,
            control=study.controls(),
        ),
        upper=[
            f"{R}/reconstruction/true_features/shard-{shard}"
            for shard in study.shards()
        ],
        between=expand(
            f"{R}/sub-{{subject}}/between.tsv", subject=SUBJECTS if OTHERS else []
        ),
        audit=f"{R}/audit.json",
        pretrain=PRETRAINED,
        evidence=evidence(),
        qc=expand(f"{R}/sub-{{subject}}/qc.tsv", subject=study.everybody),
        twins=f"{R}/twins.json",
        published=given(LIB / "boldreel" / "report" / "published.tsv"),
        captions=[given(path) for path in sorted(CAPTIONS.glob("*.rst"))],
    output:
        report(
            f"{R}/report.html", caption="../report/page.rst", category="The whole page"
        ),
    log:
        f"{LOGS}/report/page.log",
    benchmark:
        f"{R}/benchmarks/report/page.tsv"
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=30,
    params:
        cfg=section(
            "report",
            keep=["page_clips", "level"],
            dataset=DATASET,
            method=METHOD,
            combination=config["evaluate"]["combination"],
            simulated=EMBEDDED,
            engine=ENGINE,
            fmriprep=config["bold"]["fmriprep"]["version"],
            atlas=config["roi"]["atlas"],
            cohort=config["pretrain"]["cohort"],
            repeats=config["reconstruct"]["repeats"],
        ),
        code=code("report.page"),
        results=folder_of("metrics", 2),
        subjects=SUBJECTS,
    shell:
        "python -m boldreel.report.page --results {params.results:q} --subjects {params.subjects:q} "
        "--figures {input.figures:q} --published {input.published:q} --benchmarks {params.results:q}/benchmarks "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
