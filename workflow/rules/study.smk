# What was shown when, and which runs count: one table for each subject, which all stages read.

PRESENTATIONS = parameters.presentations()


rule study_presentations:
    """The table of what a subject's runs showed, from events files, rules or the user's own table."""
    input:
        events=of_subject(inputs.events),
        overlaps=inputs.overlaps(),
    output:
        layout.presentations(),
    log:
        layout.log("study", "presentations-{subject}"),
    benchmark:
        layout.benchmark("study", "presentations-{subject}")
    priority: 90
    conda:
        "../../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=10,
    params:
        # By a function, since a rule's template such as {task} would be taken for a wildcard.
        cfg=lambda wildcards: PRESENTATIONS,
        code=code("study.table"),
        runs=parameters.specs,
        overlaps=parameters.overlaps,
    shell:
        "python -m boldreel.study.table --subject {wildcards.subject} --runs {params.runs:q} "
        "--events {input.events:q} {params.overlaps:q} --output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
