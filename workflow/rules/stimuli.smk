# Stage 1: movies to frames, shots, captions, clips and the features of frozen base models.


rule stimuli_decode:
    """Decode a movie, or a batch of movies, at the model's frame rate and size; find shots."""
    input:
        unpack(lambda wildcards: inputs.batch(wildcards.batch)),
    output:
        frames=layout.frames(),
        sidecar=layout.frames_sidecar(),
        shots=layout.shots(),
    log:
        layout.log("stimuli", "decode-{batch}"),
    benchmark:
        layout.benchmark("stimuli", "decode-{batch}")
    priority: 90
    conda:
        "../../envs/stimuli.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=30,
    params:
        cfg=section("stimuli"),
        code=code("stimuli.decode"),
        folder=folder_of("frames"),
        movies=parameters.batch,
    shell:
        "python -m boldreel.stimuli.decode {params.movies:q} "
        "--output {params.folder:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule stimuli_clips:
    """Cut every movie into clips; say of which shot each is, and what is to be seen."""
    input:
        frames=inputs.frames(),
        sidecars=inputs.frames_sidecars(),
        shots=inputs.shots(),
        annotations=lambda wildcards: inputs.annotations(),
        weights=inputs.weights("caption"),
    output:
        layout.clips(),
    log:
        layout.log("stimuli", "clips"),
    benchmark:
        layout.benchmark("stimuli", "clips")
    priority: 90
    conda:
        "../../envs/stimuli.yaml"
    threads: 1
    resources:
        **or_exit(parameters.captioning),
        mem_mb=memory(2000),
        runtime=240,
    params:
        cfg=section("stimuli", caption=MODELS.get("caption")),
        code=code("stimuli.clips"),
        stimuli=folders_of("frames"),
        annotations=parameters.annotations,
    shell:
        "python -m boldreel.stimuli.clips --stimuli {params.stimuli:q} {params.annotations:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule stimuli_features:
    """Features of frames and captions: of all movies, for loading the base models takes longer than one; of
    thousands, batch by batch."""
    input:
        frames=inputs.jointly(layout.frames),
        sidecars=inputs.staged(inputs.jointly(layout.frames_sidecar)),
        clips=layout.clips(),
        weights=inputs.weights("clip", "diffusion"),
    output:
        directory(inputs.jointly(layout.features)),
    log:
        layout.log("stimuli", f"features{OF_BATCH}"),
    benchmark:
        layout.benchmark("stimuli", f"features{OF_BATCH}")
    priority: 90
    conda:
        "../../envs/stimuli.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
        gpu=1,
    params:
        cfg=section("stimuli"),
        code=code("stimuli.features"),
        movies=inputs.batches_of_job,
        training=inputs.batches_named("train", "validation"),
        clip=model("clip"),
        diffusion=model("diffusion"),
    shell:
        "python -m boldreel.stimuli.features --frames {input.frames:q} --clips {input.clips:q} "
        "--movie {params.movies:q} --training-movies {params.training:q} --clip-model {params.clip:q} "
        "--diffusion-model {params.diffusion:q} --output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
