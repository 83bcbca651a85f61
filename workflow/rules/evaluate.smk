# Stage 9: reconstructions against truth, with chance, baselines and intervals.


rule evaluate_reference:
    """What every subject is compared with, computed once: truth, upper bound, chance pictures."""
    input:
        upper=[
            f"{R}/reconstruction/true_features/shard-{shard}"
            for shard in study.shards()
        ],
        frames=[f"{R}/stimuli/{movie}/frames.npy" for movie in movies()],
        sidecars=staged([f"{R}/stimuli/{movie}/frames.json" for movie in movies()]),
        clips=f"{R}/clips.parquet",
        weights=weights(*JUDGES.values()),
    output:
        directory(f"{R}/evaluation/reference"),
    log:
        f"{LOGS}/evaluate/reference.log",
    benchmark:
        f"{R}/benchmarks/evaluate/reference.tsv"
    priority: 25
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=240,
        gpu=1,
    params:
        cfg=section("evaluate", keep=["batch_size"]),
        code=code("evaluate.reference"),
        stimuli=folder_of("frames", 2),
        training=movies("train", "validation"),
        judges=judges,
    shell:
        "python -m boldreel.evaluate.reference --upper-bound {input.upper:q} "
        "--stimuli {params.stimuli:q} --clips {input.clips:q} --training-movies {params.training:q} "
        "{params.judges:q} --output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule evaluate_shard:
    """What the judges see in one of a subject's shards: each can look on a GPU of its own."""
    input:
        reconstruction=f"{R}/sub-{{subject}}/reconstruction/{METHOD}/shard-{{shard}}",
        weights=weights(*JUDGES.values()),
    output:
        directory(f"{R}/sub-{{subject}}/evaluation/shard-{{shard}}"),
    log:
        f"{LOGS}/evaluate/shard-{{subject}}-{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/evaluate/shard-{{subject}}-{{shard}}.tsv"
    priority: 15
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=240,
        gpu=1,
    params:
        cfg=section("evaluate", keep=["batch_size"]),
        code=code("evaluate.shard"),
        judges=judges,
    shell:
        "python -m boldreel.evaluate.shard --reconstruction {input.reconstruction:q} {params.judges:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule evaluate_score:
    """Score a subject's reconstructions clip by clip, and over clips with intervals and chance."""
    input:
        unpack(own_responses("train", "validation", "test")),
        reconstruction=[
            f"{R}/sub-{{subject}}/reconstruction/{METHOD}/shard-{shard}"
            for shard in study.shards()
        ],
        # gathered where there are several; a single job looks itself
        readings=[
            f"{R}/sub-{{subject}}/evaluation/shard-{shard}"
            for shard in study.shards()
            if len(study.shards()) > 1
        ],
        upper=[
            f"{R}/reconstruction/true_features/shard-{shard}"
            for shard in study.shards()
        ],
        controls=[
            f"{R}/sub-{{subject}}/reconstruction/control-{control}"
            for control in study.controls()
        ],
        frames=[f"{R}/stimuli/{movie}/frames.npy" for movie in movies()],
        frames_sidecars=staged(
            [f"{R}/stimuli/{movie}/frames.json" for movie in movies()]
        ),
        clips=f"{R}/clips.parquet",
        windows=f"{R}/sub-{{subject}}/windows.parquet",
        reference=f"{R}/evaluation/reference",
        weights=weights(*JUDGES.values()),
    output:
        clips=f"{R}/sub-{{subject}}/metrics.parquet",
        scores=f"{R}/sub-{{subject}}/scores.tsv",
        nearest=f"{R}/sub-{{subject}}/nearest.tsv",
    log:
        f"{LOGS}/evaluate/score-{{subject}}.log",
    benchmark:
        f"{R}/benchmarks/evaluate/score-{{subject}}.tsv"
    priority: 10
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=240,
        gpu=1,
    params:
        cfg=section("evaluate", dataset=DATASET),
        code=code("evaluate.score"),
        stimuli=folder_of("frames", 2),
        judges=judges,
        method=METHOD,
        series=folder_of("series"),
        controls=lambda wildcards, input: (
            ["--controls", *input.controls] if input.controls else []
        ),
    shell:
        "python -m boldreel.evaluate.score --reconstruction {input.reconstruction:q} "
        "--readings {input.readings:q} --upper-bound {input.upper:q} {params.controls:q} "
        "--stimuli {params.stimuli:q} --clips {input.clips:q} "
        "--windows {input.windows:q} {params.judges:q} --method {params.method} "
        "--series-dir {params.series:q} --reference {input.reference:q} "
        "--subject {wildcards.subject} --output-clips {output.clips:q} --output-scores {output.scores:q} "
        "--output-nearest {output.nearest:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule evaluate_method:
    """Score a subject's reconstructions by another method: same clips, judges, baselines and tests."""
    input:
        unpack(own_responses("train", "validation", "test")),
        reconstruction=f"{R}/sub-{{subject}}/reconstruction/{{method}}/shard-0",
        controls=lambda wildcards: left_by(
            wildcards.method, "reconstruct", wildcards.subject, "controls"
        ),
        upper=[
            f"{R}/reconstruction/true_features/shard-{shard}"
            for shard in study.shards()
        ],
        frames=[f"{R}/stimuli/{movie}/frames.npy" for movie in movies()],
        frames_sidecars=staged(
            [f"{R}/stimuli/{movie}/frames.json" for movie in movies()]
        ),
        clips=f"{R}/clips.parquet",
        windows=f"{R}/sub-{{subject}}/windows.parquet",
        reference=f"{R}/evaluation/reference",
        weights=weights(*JUDGES.values()),
    output:
        clips=f"{R}/sub-{{subject}}/methods/{{method}}/metrics.parquet",
        scores=f"{R}/sub-{{subject}}/methods/{{method}}/scores.tsv",
    log:
        f"{LOGS}/evaluate/{{method}}-{{subject}}.log",
    benchmark:
        f"{R}/benchmarks/evaluate/{{method}}-{{subject}}.tsv"
    priority: 10
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=240,
        gpu=1,
    params:
        cfg=section("evaluate", dataset=DATASET),
        code=code("evaluate.score"),
        stimuli=folder_of("frames", 2),
        judges=judges,
        series=folder_of("series"),
        controls=lambda wildcards, input: (
            ["--controls", *input.controls] if input.controls else []
        ),
    shell:
        "python -m boldreel.evaluate.score --reconstruction {input.reconstruction:q} "
        "--upper-bound {input.upper:q} {params.controls:q} --stimuli {params.stimuli:q} --clips {input.clips:q} "
        "--windows {input.windows:q} {params.judges:q} --method {wildcards.method} "
        "--series-dir {params.series:q} --reference {input.reference:q} "
        "--subject {wildcards.subject} --output-clips {output.clips:q} --output-scores {output.scores:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule evaluate_between:
    """A subject's methods against each other, clip by clip."""
    input:
        f"{R}/sub-{{subject}}/metrics.parquet",
        scored("metrics.parquet"),
    output:
        f"{R}/sub-{{subject}}/between.tsv",
    log:
        f"{LOGS}/evaluate/between-{{subject}}.log",
    benchmark:
        f"{R}/benchmarks/evaluate/between-{{subject}}.tsv"
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=60,
    params:
        cfg=section("evaluate", keep=["resamples", "permutations"]),
        code=code("evaluate.between"),
    shell:
        "python -m boldreel.evaluate.between --clips {input:q} --subject {wildcards.subject} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule evaluate_group:
    """All subjects' scores in one table."""
    input:
        scores=[
            path.format(subject=subject)
            for subject in SUBJECTS
            for path in [f"{R}/sub-{{subject}}/scores.tsv", *scored("scores.tsv")]
        ],
        retrieval=expand(f"{R}/sub-{{subject}}/align/retrieval.tsv", subject=SUBJECTS),
        other=[f"{R}/group/other_subject.tsv"] if len(SUBJECTS) > 1 else [],
    output:
        f"{R}/group/metrics.tsv",
    log:
        f"{LOGS}/evaluate/group.log",
    benchmark:
        f"{R}/benchmarks/evaluate/group.tsv"
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=20,
    params:
        cfg=section("evaluate", keep=[]),
        code=code("evaluate.group"),
    shell:
        "python -m boldreel.evaluate.group --scores {input.scores:q} {input.retrieval:q} {input.other:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
