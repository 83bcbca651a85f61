# Stage 8: test windows to video.


rule reconstruct_encode:
    """What a subject's co-trained encoder makes of the test clips, once for all shards and controls."""
    input:
        unpack(responses("test")),
        cotrain=layout.cotrained(),
        windows=layout.windows(),
    output:
        directory(layout.conditions()),
    log:
        layout.log("reconstruct", "encode-{subject}"),
    benchmark:
        layout.benchmark("reconstruct", "encode-{subject}")
    priority: 25
    conda:
        "../../envs/reconstruct.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=60,
        gpu=1,
    params:
        cfg=section("reconstruct", keep=["repeats"]),
        code=code("reconstruct.encode"),
        series=folder_of("series"),
    shell:
        "python -m boldreel.reconstruct.encode --encoder {input.cotrain:q}/encoder "
        "--generator {input.cotrain:q}/generator "
        "--windows {input.windows:q} --series-dir {params.series:q} --output {output:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule reconstruct_sample:
    """Sample one shard of a subject's test clips from its co-trained model."""
    input:
        conditions=layout.conditions(),
        cotrain=layout.cotrained(),
        windows=layout.windows(),
        clips=layout.clips(),
        weights=inputs.weights("diffusion"),
    output:
        directory(layout.reconstruction(method=METHOD)),
    log:
        layout.log("reconstruct", "sample-{subject}-{shard}"),
    benchmark:
        layout.benchmark("reconstruct", "sample-{subject}-{shard}")
    priority: 20
    conda:
        "../../envs/reconstruct.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=1440,
        gpu=1,
    params:
        cfg=section("reconstruct", leave_out=["controls", "control_clips", "seeds"]),
        code=code("reconstruct.sample"),
        shards=config["reconstruct"]["shards"],
        diffusion=model("diffusion"),
        state=layout.state("reconstruct", "sub-{subject}-{shard}"),
    shell:
        "python -m boldreel.reconstruct.sample --conditions {input.conditions:q} "
        "--generator {input.cotrain:q}/generator --diffusion-model {params.diffusion:q} "
        "--windows {input.windows:q} --clips {input.clips:q} --shard {wildcards.shard} "
        "--shards {params.shards} --output {output:q} --state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule reconstruct_true_features:
    """The upper bound: the tuned generator fed the true captions of the test clips."""
    input:
        generator=layout.generator(),
        features=lambda wildcards: inputs.features("test"),
        clips=layout.clips(),
        weights=inputs.weights("diffusion"),
    output:
        directory(layout.upper_bound()),
    log:
        layout.log("reconstruct", "true-{shard}"),
    benchmark:
        layout.benchmark("reconstruct", "true-{shard}")
    priority: 25
    conda:
        "../../envs/reconstruct.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=1440,
        gpu=1,
    params:
        cfg=section("reconstruct", leave_out=["controls", "control_clips", "seeds"]),
        code=code("reconstruct.sample"),
        shards=config["reconstruct"]["shards"],
        diffusion=model("diffusion"),
        state=layout.state("reconstruct", "true-{shard}"),
    shell:
        "python -m boldreel.reconstruct.sample --generator {input.generator:q} "
        "--diffusion-model {params.diffusion:q} --true-features {input.features:q} "
        "--clips {input.clips:q} --shard {wildcards.shard} --shards {params.shards} "
        "--output {output:q} --state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


if study.controls.own():

    rule reconstruct_controls:
        """The co-trained model fed what says nothing of the responses, or other noise to start from."""
        input:
            conditions=layout.conditions(),
            training_features=(
                inputs.features("train", "validation")
                if "caption" in study.controls.own()
                else []
            ),
            cotrain=layout.cotrained(),
            windows=layout.windows(),
            clips=layout.clips(),
            weights=inputs.weights("diffusion"),
        output:
            [
                directory(layout.control(control=control))
                for control in study.controls.own()
            ],
        log:
            layout.log("reconstruct", "controls-{subject}"),
        benchmark:
            layout.benchmark("reconstruct", "controls-{subject}")
        priority: 20
        conda:
            "../../envs/reconstruct.yaml"
        threads: 1
        resources:
            mem_mb=memory(4000),
            runtime=1440,
            gpu=1,
        params:
            cfg=section("reconstruct", leave_out=["controls", "seeds"]),
            code=code("reconstruct.sample"),
            diffusion=model("diffusion"),
            state=layout.state("reconstruct", "sub-{subject}-controls"),
        shell:
            "python -m boldreel.reconstruct.sample --conditions {input.conditions:q} "
            "--generator {input.cotrain:q}/generator --diffusion-model {params.diffusion:q} "
            "--windows {input.windows:q} --clips {input.clips:q} "
            "--training-features {input.training_features:q} --controls {output:q} "
            "--state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


if "other" in study.controls.names():

    rule reconstruct_other:
        """The co-trained model fed another subject's responses to the same clips."""
        input:
            unpack(of_subject(inputs.other_subject)),
            conditions=layout.conditions(),
            cotrain=layout.cotrained(),
            windows=layout.windows(),
            clips=layout.clips(),
            weights=inputs.weights("diffusion"),
        output:
            directory(layout.control(control="other")),
        log:
            layout.log("reconstruct", "other-{subject}"),
        benchmark:
            layout.benchmark("reconstruct", "other-{subject}")
        wildcard_constraints:
            subject=one_of(s for s in SUBJECTS if study.controls.other_of(s)),
        priority: 20
        conda:
            "../../envs/reconstruct.yaml"
        threads: 1
        resources:
            mem_mb=memory(4000),
            runtime=240,
            gpu=1,
        params:
            cfg=section("reconstruct", leave_out=["controls", "seeds"]),
            code=code("reconstruct.sample"),
            diffusion=model("diffusion"),
            state=layout.state("reconstruct", "sub-{subject}-other"),
            more=parameters.other_subject,
        shell:
            "python -m boldreel.reconstruct.sample --conditions {input.conditions:q} "
            "--encoder {input.cotrain:q}/encoder "
            "--generator {input.cotrain:q}/generator --diffusion-model {params.diffusion:q} "
            "--windows {input.windows:q} --clips {input.clips:q} "
            "{params.more:q} --controls {output:q} --state {params.state:q} --config {params.cfg:q} "
            "2>&1 | tee {log:q}"
