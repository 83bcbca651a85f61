# Stage 9: reconstructions against truth, with chance, baselines and intervals.


rule evaluate_reference:
    """What every subject is compared with, computed once: truth, upper bound, chance pictures."""
    input:
        upper=[layout.upper_bound(shard) for shard in study.shards()],
        frames=inputs.frames(),
        sidecars=inputs.frames_sidecars(),
        clips=layout.clips(),
        weights=inputs.weights(*JUDGES),
    output:
        directory(layout.reference()),
    log:
        layout.log("evaluate", "reference"),
    benchmark:
        layout.benchmark("evaluate", "reference")
    priority: 25
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=240,
        gpu=1,
    params:
        cfg=section("evaluate", keep=["batch_size", "video_frames"]),
        code=code("evaluate.reference"),
        stimuli=folder_of("frames", 2),
        training=inputs.batches_named("train", "validation"),
        judges=parameters.judges,
    shell:
        "python -m boldreel.evaluate.reference --upper-bound {input.upper:q} "
        "--stimuli {params.stimuli:q} --clips {input.clips:q} --training-movies {params.training:q} "
        "{params.judges:q} --output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule evaluate_shard:
    """What the judges see in one of a subject's shards: each can look on a GPU of its own."""
    input:
        reconstruction=layout.reconstruction(method=METHOD),
        weights=inputs.weights(*JUDGES),
    output:
        directory(layout.readings()),
    log:
        layout.log("evaluate", "shard-{subject}-{shard}"),
    benchmark:
        layout.benchmark("evaluate", "shard-{subject}-{shard}")
    priority: 15
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=240,
        gpu=1,
    params:
        cfg=section("evaluate", keep=["batch_size", "video_frames"]),
        code=code("evaluate.shard"),
        judges=parameters.judges,
    shell:
        "python -m boldreel.evaluate.shard --reconstruction {input.reconstruction:q} {params.judges:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule evaluate_score:
    """Score a subject's reconstructions clip by clip, and over clips with intervals and chance."""
    input:
        unpack(responses("train", "validation", "test")),
        reconstruction=[
            layout.reconstruction(method=METHOD, shard=shard)
            for shard in study.shards()
        ],
        # gathered where there are several; a single job looks itself
        readings=[
            layout.readings(shard=shard)
            for shard in study.shards()
            if len(study.shards()) > 1
        ],
        upper=[layout.upper_bound(shard) for shard in study.shards()],
        controls=lambda wildcards: [
            layout.control(wildcards.subject, control)
            for control in study.controls.names(wildcards.subject)
        ],
        frames=inputs.frames(),
        frames_sidecars=inputs.frames_sidecars(),
        clips=layout.clips(),
        windows=layout.windows(),
        reference=layout.reference(),
        weights=inputs.weights(*JUDGES),
    output:
        clips=layout.clip_scores(),
        scores=layout.scores(),
        nearest=layout.nearest(),
    log:
        layout.log("evaluate", "score-{subject}"),
    benchmark:
        layout.benchmark("evaluate", "score-{subject}")
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
        judges=parameters.judges,
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
        unpack(responses("train", "validation", "test")),
        reconstruction=layout.reconstruction(shard=0),
        controls=lambda wildcards: outputs_of(
            wildcards.method, "reconstruct", wildcards.subject, "controls"
        ),
        upper=[layout.upper_bound(shard) for shard in study.shards()],
        frames=inputs.frames(),
        frames_sidecars=inputs.frames_sidecars(),
        clips=layout.clips(),
        windows=layout.windows(),
        reference=layout.reference(),
        weights=inputs.weights(*JUDGES),
    output:
        clips=layout.method_clip_scores(),
        scores=layout.method_scores(),
    log:
        layout.log("evaluate", "{method}-{subject}"),
    benchmark:
        layout.benchmark("evaluate", "{method}-{subject}")
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
        judges=parameters.judges,
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
        layout.clip_scores(),
        [layout.method_clip_scores(method=method) for method in OTHERS],
    output:
        layout.between(),
    log:
        layout.log("evaluate", "between-{subject}"),
    benchmark:
        layout.benchmark("evaluate", "between-{subject}")
    conda:
        "../../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=60,
    params:
        code=code("evaluate.method_differences"),
    shell:
        "python -m boldreel.evaluate.method_differences --clips {input:q} --subject {wildcards.subject} "
        "--output {output:q} 2>&1 | tee {log:q}"


rule evaluate_group:
    """All subjects' scores in one table."""
    input:
        scores=[
            path.format(subject=subject)
            for subject in SUBJECTS
            for path in [
                layout.scores(),
                *(layout.method_scores(method=method) for method in OTHERS),
            ]
        ],
        retrieval=expand(layout.retrieval(), subject=SUBJECTS),
        other=(
            [layout.other_subject(), layout.zero_shot()] if len(SUBJECTS) > 1 else []
        ),
    output:
        layout.metrics(),
    log:
        layout.log("evaluate", "group"),
    benchmark:
        layout.benchmark("evaluate", "group")
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
