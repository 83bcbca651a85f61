# Method `cvgan`: a conditional video GAN.


rule cvgan_train:
    """Train a subject's encoder and video GAN on training segments."""
    input:
        unpack(responses("train", "validation")),
        windows=layout.windows(),
        clips=layout.clips(),
        frames=inputs.frames("train", "validation"),
        frames_sidecars=inputs.frames_sidecars("train", "validation"),
    output:
        directory(layout.method_fit(method="cvgan")),
    log:
        layout.log("cvgan", "train-{subject}"),
    benchmark:
        layout.benchmark("cvgan", "train-{subject}")
    conda:
        "../../envs/cvgan.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=1440,
        gpu=1,
    params:
        cfg=method_options("cvgan"),
        code=code("methods.cvgan.train"),
        series=folder_of("series"),
        stimuli=folder_of("frames", 2),
        state=layout.state("cvgan", "sub-{subject}"),
    shell:
        "python -m boldreel.methods.cvgan.train --windows {input.windows:q} "
        "--series-dir {params.series:q} --clips {input.clips:q} --stimuli {params.stimuli:q} "
        "--output {output:q} --state {params.state:q} --config {params.cfg:q} "
        "2>&1 | tee {log:q}"


rule cvgan_reconstruct:
    """Test clips by the video GAN."""
    input:
        unpack(of_subject(inputs.method_controls)),
        unpack(responses("test")),
        fit=layout.method_fit(method="cvgan"),
        windows=layout.windows(),
    output:
        clips=directory(layout.reconstruction(method="cvgan", shard=0)),
        controls=[
            directory(folder) for folder in inputs.method_control_folders("cvgan")
        ],
    log:
        layout.log("cvgan", "reconstruct-{subject}"),
    benchmark:
        layout.benchmark("cvgan", "reconstruct-{subject}")
    conda:
        "../../envs/cvgan.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
        gpu=1,
    params:
        cfg=method_options("cvgan"),
        code=code("methods.reconstruct"),
        series=folder_of("series"),
        more=parameters.method_controls,
    shell:
        "python -m boldreel.methods.reconstruct --model {input.fit:q} --windows {input.windows:q} "
        "--series-dir {params.series:q} --output {output.clips:q} {params.more:q} --config {params.cfg:q} "
        "2>&1 | tee {log:q}"
