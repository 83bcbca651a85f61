# Method `selfsupervised`: an encoder and a decoder that train each other.

# A folder of movies that nobody was scanned with.
VIDEOS = config["method_options"].get("selfsupervised", {}).get("videos", "")


if VIDEOS:

    rule selfsupervised_videos:
        """Cut further movies into clips, without those that resemble a test movie."""
        input:
            videos=inputs.files_below(VIDEOS),
            clips=layout.clips(),
            test=inputs.frames("test"),
            sidecars=inputs.frames_sidecars("test"),
        output:
            directory(layout.method_videos("selfsupervised")),
        log:
            layout.log("selfsupervised", "videos"),
        benchmark:
            layout.benchmark("selfsupervised", "videos")
        conda:
            "../../envs/selfsupervised.yaml"
        threads: 1
        resources:
            mem_mb=memory(4000),
            runtime=480,
        params:
            cfg=method_options("selfsupervised"),
            code=code("methods.selfsupervised.videos"),
            rate=config["stimuli"]["frame_rate"],
        shell:
            "python -m boldreel.methods.selfsupervised.videos --videos {input.videos:q} "
            "--clips {input.clips:q} --test {input.test:q} --frame-rate {params.rate} "
            "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule selfsupervised_train:
    """Train a subject's encoder from video and decoder from BOLD on training segments."""
    input:
        unpack(responses("train", "validation")),
        windows=layout.windows(),
        clips=layout.clips(),
        frames=inputs.frames("train", "validation"),
        frames_sidecars=inputs.frames_sidecars("train", "validation"),
        videos=[layout.method_videos("selfsupervised")] if VIDEOS else [],
        weights=inputs.weights("image_classifier"),
    output:
        directory(layout.method_fit(method="selfsupervised")),
    log:
        layout.log("selfsupervised", "train-{subject}"),
    benchmark:
        layout.benchmark("selfsupervised", "train-{subject}")
    conda:
        "../../envs/selfsupervised.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=1440,
        gpu=1,
    params:
        cfg=method_options("selfsupervised"),
        code=code("methods.selfsupervised.train"),
        series=folder_of("series"),
        stimuli=folder_of("frames", 2),
        image=model("image_classifier"),
        videos=lambda wildcards, input: ["--videos", *input.videos] if VIDEOS else [],
        state=layout.state("selfsupervised", "sub-{subject}"),
    shell:
        "python -m boldreel.methods.selfsupervised.train --windows {input.windows:q} "
        "--series-dir {params.series:q} --clips {input.clips:q} --stimuli {params.stimuli:q} "
        "--image-classifier {params.image:q} {params.videos:q} --output {output:q} "
        "--state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule selfsupervised_reconstruct:
    """Test clips by the decoder."""
    input:
        unpack(of_subject(inputs.method_controls)),
        unpack(responses("test")),
        fit=layout.method_fit(method="selfsupervised"),
        windows=layout.windows(),
    output:
        clips=directory(layout.reconstruction(method="selfsupervised", shard=0)),
        controls=[
            directory(folder)
            for folder in inputs.method_control_folders("selfsupervised")
        ],
    log:
        layout.log("selfsupervised", "reconstruct-{subject}"),
    benchmark:
        layout.benchmark("selfsupervised", "reconstruct-{subject}")
    conda:
        "../../envs/selfsupervised.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
        gpu=1,
    params:
        cfg=method_options("selfsupervised"),
        code=code("methods.reconstruct"),
        series=folder_of("series"),
        more=parameters.method_controls,
    shell:
        "python -m boldreel.methods.reconstruct --model {input.fit:q} --windows {input.windows:q} "
        "--series-dir {params.series:q} --output {output.clips:q} {params.more:q} --config {params.cfg:q} "
        "2>&1 | tee {log:q}"
