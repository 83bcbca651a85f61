# Stage 8: test windows to video.


rule reconstruct_sample:
    """Sample one shard of a subject's test clips from its co-trained model."""
    input:
        unpack(own_responses("test")),
        cotrain=f"{R}/sub-{{subject}}/cotrain",
        windows=f"{R}/sub-{{subject}}/windows.parquet",
        clips=f"{R}/clips.parquet",
        weights=weights("diffusion"),
    output:
        directory(f"{R}/sub-{{subject}}/reconstruction/{METHOD}/shard-{{shard}}"),
    log:
        f"{LOGS}/reconstruct/sample-{{subject}}-{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/reconstruct/sample-{{subject}}-{{shard}}.tsv"
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
        series=folder_of("series"),
        shards=config["reconstruct"]["shards"],
        diffusion=model("diffusion"),
        state=f"{STATE}/reconstruct/sub-{{subject}}-{{shard}}",
    shell:
        "python -m boldreel.reconstruct.sample --encoder {input.cotrain:q}/encoder "
        "--generator {input.cotrain:q}/generator --diffusion-model {params.diffusion:q} "
        "--windows {input.windows:q} --series-dir {params.series:q} --clips {input.clips:q} "
        "--shard {wildcards.shard} --shards {params.shards} --output {output:q} --state {params.state:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule reconstruct_true_features:
    """The upper bound: the tuned generator fed the true captions of the test clips."""
    input:
        generator=f"{R}/generator/model",
        features=lambda wildcards: features("test"),
        clips=f"{R}/clips.parquet",
        weights=weights("diffusion"),
    output:
        directory(f"{R}/reconstruction/true_features/shard-{{shard}}"),
    log:
        f"{LOGS}/reconstruct/true-{{shard}}.log",
    benchmark:
        f"{R}/benchmarks/reconstruct/true-{{shard}}.tsv"
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
        state=f"{STATE}/reconstruct/true-{{shard}}",
    shell:
        "python -m boldreel.reconstruct.sample --generator {input.generator:q} "
        "--diffusion-model {params.diffusion:q} --true-features {input.features:q} "
        "--clips {input.clips:q} --shard {wildcards.shard} --shards {params.shards} "
        "--output {output:q} --state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


if study.own_controls():

    rule reconstruct_controls:
        """The co-trained model fed what says nothing of the responses, or other noise to start from."""
        input:
            unpack(own_responses("test")),
            training_features=(
                features("train", "validation")
                if "caption" in study.own_controls()
                else []
            ),
            cotrain=f"{R}/sub-{{subject}}/cotrain",
            windows=f"{R}/sub-{{subject}}/windows.parquet",
            clips=f"{R}/clips.parquet",
            weights=weights("diffusion"),
        output:
            [
                directory(f"{R}/sub-{{subject}}/reconstruction/control-{control}")
                for control in study.own_controls()
            ],
        log:
            f"{LOGS}/reconstruct/controls-{{subject}}.log",
        benchmark:
            f"{R}/benchmarks/reconstruct/controls-{{subject}}.tsv"
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
            series=folder_of("series"),
            diffusion=model("diffusion"),
            state=f"{STATE}/reconstruct/sub-{{subject}}-controls",
        shell:
            "python -m boldreel.reconstruct.sample --encoder {input.cotrain:q}/encoder "
            "--generator {input.cotrain:q}/generator --diffusion-model {params.diffusion:q} "
            "--windows {input.windows:q} --series-dir {params.series:q} --clips {input.clips:q} "
            "--training-features {input.training_features:q} --controls {output:q} "
            "--state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


if "other" in study.controls():

    rule reconstruct_other:
        """The co-trained model fed another subject's responses to the same clips."""
        input:
            unpack(lambda wildcards: of_other(wildcards.subject)),
            unpack(own_responses("test")),
            cotrain=f"{R}/sub-{{subject}}/cotrain",
            windows=f"{R}/sub-{{subject}}/windows.parquet",
            clips=f"{R}/clips.parquet",
            weights=weights("diffusion"),
        output:
            directory(f"{R}/sub-{{subject}}/reconstruction/control-other"),
        log:
            f"{LOGS}/reconstruct/other-{{subject}}.log",
        benchmark:
            f"{R}/benchmarks/reconstruct/other-{{subject}}.tsv"
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
            series=folder_of("series"),
            diffusion=model("diffusion"),
            state=f"{STATE}/reconstruct/sub-{{subject}}-other",
            more=lambda wildcards, input: other_options(input),
        shell:
            "python -m boldreel.reconstruct.sample --encoder {input.cotrain:q}/encoder "
            "--generator {input.cotrain:q}/generator --diffusion-model {params.diffusion:q} "
            "--windows {input.windows:q} --series-dir {params.series:q} --clips {input.clips:q} "
            "{params.more:q} --controls {output:q} --state {params.state:q} --config {params.cfg:q} "
            "2>&1 | tee {log:q}"
