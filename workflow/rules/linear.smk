# Method `linear`: voxel-wise linear maps to a network's layers, and back to pictures.


rule linear_train:
    """Fit a subject's linear maps on training segments."""
    input:
        unpack(responses("train", "validation")),
        windows=layout.windows(),
        clips=layout.clips(),
        frames=inputs.frames("train", "validation"),
        frames_sidecars=inputs.frames_sidecars("train", "validation"),
        weights=inputs.weights("image_classifier"),
    output:
        directory(layout.method_fit(method="linear")),
    log:
        layout.log("linear", "train-{subject}"),
    benchmark:
        layout.benchmark("linear", "train-{subject}")
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
        unpack(of_subject(inputs.method_controls)),
        unpack(responses("test")),
        fit=layout.method_fit(method="linear"),
        windows=layout.windows(),
        clips=layout.clips(),
        frames=inputs.frames("train", "validation"),
        frames_sidecars=inputs.frames_sidecars("train", "validation"),
    output:
        clips=directory(layout.reconstruction(method="linear", shard=0)),
        controls=[
            directory(folder) for folder in inputs.method_control_folders("linear")
        ],
    log:
        layout.log("linear", "reconstruct-{subject}"),
    benchmark:
        layout.benchmark("linear", "reconstruct-{subject}")
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
        more=parameters.method_controls,
        stimuli=folder_of("frames", 2),
    shell:
        "python -m boldreel.methods.linear.reconstruct --model {input.fit:q} "
        "--windows {input.windows:q} --series-dir {params.series:q} --clips {input.clips:q} "
        "--stimuli {params.stimuli:q} --output {output.clips:q} {params.more:q} --config {params.cfg:q} "
        "2>&1 | tee {log:q}"
