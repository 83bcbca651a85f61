# Method `linear`: voxel-wise linear maps to a network's layers, and back to pictures.


rule linear_train:
    """Fit a subject's linear maps on training segments."""
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
        weights=weights("image_classifier"),
    output:
        directory(f"{R}/sub-{{subject}}/methods/linear/fit"),
    log:
        f"{LOGS}/linear/train-{{subject}}.log",
    benchmark:
        f"{R}/benchmarks/linear/train-{{subject}}.tsv"
    conda:
        "../../envs/linear.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=240,
        gpu=1,
    params:
        cfg=method_options("linear"),
        code=code("methods.linear.train"),
        series=folder_of("series"),
        stimuli=folder_of("frames", 2),
        image=model("image_classifier"),
    shell:
        "python -m boldreel.methods.linear.train --windows {input.windows:q} "
        "--series-dir {params.series:q} --clips {input.clips:q} --stimuli {params.stimuli:q} "
        "--image-classifier {params.image:q} --output {output:q} --config {params.cfg:q} "
        "2>&1 | tee {log:q}"


rule linear_reconstruct:
    """Test clips by the linear maps."""
    input:
        unpack(method_control_inputs),
        unpack(own_responses("test")),
        fit=f"{R}/sub-{{subject}}/methods/linear/fit",
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
    output:
        clips=directory(f"{R}/sub-{{subject}}/reconstruction/linear/shard-0"),
        controls=[directory(folder) for folder in method_controls("linear")],
    log:
        f"{LOGS}/linear/reconstruct-{{subject}}.log",
    benchmark:
        f"{R}/benchmarks/linear/reconstruct-{{subject}}.tsv"
    conda:
        "../../envs/linear.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        cfg=method_options("linear"),
        code=code("methods.linear.reconstruct"),
        series=folder_of("series"),
        more=method_control_options,
        stimuli=folder_of("frames", 2),
    shell:
        "python -m boldreel.methods.linear.reconstruct --model {input.fit:q} "
        "--windows {input.windows:q} --series-dir {params.series:q} --clips {input.clips:q} "
        "--stimuli {params.stimuli:q} --output {output.clips:q} {params.more:q} --config {params.cfg:q} "
        "2>&1 | tee {log:q}"
