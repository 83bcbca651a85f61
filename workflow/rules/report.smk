# Stage 10: figures, and one self-contained page.

CAPTIONS = LIB / "boldreel" / "report" / "captions"
# What Snakemake's own report says under each figure; no job depends on it.
config["captions"] = {
    path.stem: path.read_text(encoding="utf-8") for path in CAPTIONS.glob("*.rst")
}


rule report_figures:
    """The group's figures, each with the data behind it."""
    input:
        metrics=layout.metrics(),
        clips=layout.clips(),
        frames=inputs.frames("test"),
        sidecars=inputs.frames_sidecars("test"),
        positions=layout.positions(),
        pretrain=PRETRAINED,
        generator=layout.generator_history(),
        upper=[layout.upper_bound(shard) for shard in study.shards()],
        reconstruction=expand(
            layout.reconstruction(method=METHOD),
            subject=SUBJECTS,
            shard=study.shards(),
        ),
        subject_files=[
            path.format(subject=subject)
            for subject in SUBJECTS
            for path in [
                layout.sweep(),
                layout.noise_ceiling(),
                layout.voxels(),
                layout.alignment_history(),
                layout.repeats(),
                layout.scaling(),
                layout.rois(),
                *([layout.attributes()] if LEFT_OUT else []),
                layout.attention_regions(),
                layout.attention(),
                layout.cotrained(),
                *([layout.hrf()] if study.deconvolved else []),
            ]
        ],
        methods=lambda wildcards: method_fits(),
        evidence=inputs.evidence(),
    output:
        report(
            directory(layout.figures()),
            patterns=["{name}.png"],
            caption="../report/figures.rst",
            category="Figures",
        ),
    log:
        layout.log("report", "figures"),
    benchmark:
        layout.benchmark("report", "figures")
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
        figures=layout.figures(),
        metrics=layout.metrics(),
        subject_files=[
            path.format(subject=subject)
            for subject in SUBJECTS
            for path in [
                layout.clip_scores(),
                layout.nearest(),
                layout.windows(),
                layout.alignment_history(),
                layout.choice(),
                layout.presentations(),
                layout.noise_ceiling(),
                layout.repeats(),
            ]
        ],
        intersubject=[layout.intersubject()] if study.shares_test() else [],
        clips=layout.clips(),
        # of the nearest training clips too
        frames=inputs.frames(),
        sidecars=inputs.frames_sidecars(),
        reconstruction=expand(
            layout.reconstruction(method=METHOD),
            subject=SUBJECTS,
            shard=study.shards(),
        ),
        controls=[
            layout.control(subject, control)
            for subject in SUBJECTS
            for control in study.controls.names(subject)
        ],
        upper=[layout.upper_bound(shard) for shard in study.shards()],
        between=expand(layout.between(), subject=SUBJECTS if OTHERS else []),
        audit=layout.audit(),
        pretrain=PRETRAINED,
        evidence=inputs.evidence(),
        qc=expand(layout.quality(), subject=study.everybody),
        twins=layout.twins(),
        published=existing(LIB / "boldreel" / "report" / "published.tsv"),
        captions=[existing(path) for path in sorted(CAPTIONS.glob("*.rst"))],
    output:
        report(layout.page(), caption="../report/page.rst", category="The whole page"),
    log:
        layout.log("report", "page"),
    benchmark:
        layout.benchmark("report", "page")
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
            without_other=study.controls.without_other(),
            ignored=study.ignored(listed=False),
        ),
        code=code("report.page"),
        results=folder_of("metrics", 2),
        subjects=SUBJECTS,
    shell:
        "python -m boldreel.report.page --results {params.results:q} --subjects {params.subjects:q} "
        "--figures {input.figures:q} --published {input.published:q} --benchmarks {params.results:q}/benchmarks "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
