# Method `selfsupervised`: an encoder and a decoder that train each other.

_FURTHER = config["method_options"].get("selfsupervised", {}).get("videos", "")


def further_videos():
    """Movies that nobody was scanned with, in the folder of the configuration."""
    if not _FURTHER:
        return []
    return sorted(
        given(path)
        for path in Path(_FURTHER).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


if _FURTHER:

    rule selfsupervised_videos:
        """Cut further movies into clips, without those that resemble a test movie."""
        input:
            videos=further_videos(),
            clips=f"{R}/clips.parquet",
            test=[f"{R}/stimuli/{movie}/frames.npy" for movie in movies("test")],
            sidecars=staged(
                [f"{R}/stimuli/{movie}/frames.json" for movie in movies("test")]
            ),
        output:
            directory(f"{R}/methods/selfsupervised/videos"),
        log:
            f"{LOGS}/selfsupervised/videos.log",
        benchmark:
            f"{R}/benchmarks/selfsupervised/videos.tsv"
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
        unpack(own_responses("train", "validation")),
        windows=f"{R}/sub-{{subject}}/windows.parquet",
        clips=f"{R}/clips.parquet",
        frames=[
            f"{R}/stimuli/{movie}/frames.npy"
            for movie in movies("train", "validation")
        ],
        frames_sidecars=staged(
            [
                f"{R}/stimuli/{movie}/frames.json"
                for movie in movies("train", "validation")
            ]
        ),
        videos=[f"{R}/methods/selfsupervised/videos"] if _FURTHER else [],
        weights=weights("image_classifier"),
    output:
        directory(f"{R}/sub-{{subject}}/methods/selfsupervised/fit"),
    log:
        f"{LOGS}/selfsupervised/train-{{subject}}.log",
    benchmark:
        f"{R}/benchmarks/selfsupervised/train-{{subject}}.tsv"
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
        videos=lambda wildcards, input: ["--videos", *input.videos] if _FURTHER else [],
        state=f"{STATE}/selfsupervised/sub-{{subject}}",
    shell:
        "python -m boldreel.methods.selfsupervised.train --windows {input.windows:q} "
        "--series-dir {params.series:q} --clips {input.clips:q} --stimuli {params.stimuli:q} "
        "--image-classifier {params.image:q} {params.videos:q} --output {output:q} "
        "--state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule selfsupervised_reconstruct:
    """Test clips by the decoder."""
    input:
        unpack(method_control_inputs),
        unpack(own_responses("test")),
        fit=f"{R}/sub-{{subject}}/methods/selfsupervised/fit",
        windows=f"{R}/sub-{{subject}}/windows.parquet",
    output:
        clips=directory(f"{R}/sub-{{subject}}/reconstruction/selfsupervised/shard-0"),
        controls=[directory(folder) for folder in method_controls("selfsupervised")],
    log:
        f"{LOGS}/selfsupervised/reconstruct-{{subject}}.log",
    benchmark:
        f"{R}/benchmarks/selfsupervised/reconstruct-{{subject}}.tsv"
    conda:
        "../../envs/selfsupervised.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
        gpu=1,
    params:
        cfg=method_options("selfsupervised"),
        code=code("methods.draw"),
        series=folder_of("series"),
        more=method_control_options,
    shell:
        "python -m boldreel.methods.draw --model {input.fit:q} --windows {input.windows:q} "
        "--series-dir {params.series:q} --output {output.clips:q} {params.more:q} --config {params.cfg:q} "
        "2>&1 | tee {log:q}"
