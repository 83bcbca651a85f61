# Stage 7: a video generator, tuned on training movies, then to what is read of each subject.

PRIOR = ["video"] if parameters.packed() else []


rule generator_latents:
    """Latents of the training movies' frames, once for all trainings; of thousands, batch by batch."""
    input:
        frames=inputs.jointly(layout.frames, "train", "validation"),
        sidecars=inputs.staged(
            inputs.jointly(layout.frames_sidecar, "train", "validation")
        ),
        weights=inputs.weights("diffusion"),
    output:
        latents=inputs.jointly(layout.latents, "train", "validation"),
        sidecar=inputs.jointly(layout.latents_sidecar, "train", "validation"),
    log:
        layout.log("generator", f"latents{OF_BATCH}"),
    benchmark:
        layout.benchmark("generator", f"latents{OF_BATCH}")
    priority: 30
    conda:
        "../../envs/generator.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=120,
        gpu=1,
    params:
        cfg=section("generator", keep=["latents_batch"]),
        code=code("generator.latents"),
        diffusion=model("diffusion"),
    shell:
        "python -m boldreel.generator.latents --frames {input.frames:q} "
        "--diffusion-model {params.diffusion:q} --output {output.latents:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule generator_tune:
    """Make a video model of the image model, or go on from a prior, on clips of the training movies."""
    input:
        latents=inputs.latents(),
        sidecars=inputs.latents_sidecars(),
        features=lambda wildcards: inputs.features("train", "validation"),
        clips=layout.clips(),
        overlaps=inputs.overlaps(),
        weights=inputs.weights("diffusion", *PRIOR),
    output:
        model=directory(layout.generator()),
        history=layout.generator_history(),
        strip=layout.generator_strip(),
        strips=directory(layout.generator_strips()),
    log:
        layout.log("generator", "tune"),
    benchmark:
        layout.benchmark("generator", "tune")
    priority: 30
    conda:
        "../../envs/generator.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=2880,
        gpu=config["generator"]["processes"],
    params:
        cfg=section("generator"),
        train=inputs.batches_named("train"),
        validation=inputs.batches_named("validation"),
        overlaps=parameters.overlaps,
        code=code("generator.tune"),
        state=layout.state("generator"),
        diffusion=model("diffusion"),
        video=parameters.video_prior,
        folder=folder_of("history"),
    shell:
        "python -m boldreel.training.launch {resources.gpu} -m boldreel.generator.tune "
        "--diffusion-model {params.diffusion:q} {params.video:q} "
        "--latents {input.latents:q} --features {input.features:q} --clips {input.clips:q} "
        "--train {params.train:q} --validation {params.validation:q} {params.overlaps:q} "
        "--output {params.folder:q} --state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule generator_cotrain:
    """Tune the generator to what is read of a subject; the inflated one with the encoder, end to end."""
    input:
        unpack(responses("train", "validation")),
        generator=layout.generator(),
        encoder=layout.encoder(),
        left_out=with_noise(layout.left_out()) if parameters.packed() else [],
        sketch=layout.sketch_decoder() if parameters.packed() else [],
        sketch_left_out=(
            with_noise(layout.sketch_left_out()) if parameters.packed() else []
        ),
        windows=layout.windows(),
        clips=layout.clips(),
        features=lambda wildcards: inputs.features("train", "validation"),
        latents=inputs.latents(),
        latents_sidecars=inputs.latents_sidecars(),
        weights=inputs.weights("diffusion"),
    output:
        directory(layout.cotrained()),
    log:
        layout.log("generator", "cotrain-{subject}"),
    benchmark:
        layout.benchmark("generator", "cotrain-{subject}")
    priority: 30
    conda:
        "../../envs/generator.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=2880,
        gpu=config["cotrain"]["processes"],
    params:
        cfg=section("cotrain"),
        code=code("generator.cotrain"),
        state=layout.state("cotrain", "sub-{subject}"),
        series=folder_of("series"),
        diffusion=model("diffusion"),
        read=lambda wildcards, input: (
            [
                *("--left-out", input.left_out[0]),
                *("--sketch", input.sketch),
                *("--sketch-left-out", input.sketch_left_out[0]),
            ]
            if parameters.packed()
            else []
        ),
    shell:
        "python -m boldreel.training.launch {resources.gpu} -m boldreel.generator.cotrain "
        "--generator {input.generator:q} --encoder {input.encoder:q} "
        "--windows {input.windows:q} --series-dir {params.series:q} --clips {input.clips:q} "
        "--features {input.features:q} {params.read:q} --latents {input.latents:q} --diffusion-model {params.diffusion:q} "
        "--output {output:q} --state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
