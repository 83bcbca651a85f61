# Stage 1: movies to frames, shots, captions, clips and the features of frozen base models.


rule stimuli_decode:
    """Decode a movie at the model's frame rate and size; find its shots."""
    input:
        movie=lambda wildcards: inputs.movie_file(wildcards.movie),
        annotations=lambda wildcards: inputs.annotations(wildcards.movie),
    output:
        frames=layout.frames(),
        sidecar=layout.frames_sidecar(),
        shots=layout.shots(),
    log:
        layout.log("stimuli", "decode-{movie}"),
    benchmark:
        layout.benchmark("stimuli", "decode-{movie}")
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
        annotations=lambda wildcards, input: (
            ["--annotations", *input.annotations] if input.annotations else []
        ),
    shell:
        "python -m boldreel.stimuli.decode --movie {input.movie:q} {params.annotations:q} "
        "--output {params.folder:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule stimuli_clips:
    """Cut every movie into clips; say of which shot each is, and what is to be seen."""
    input:
        frames=[layout.frames(movie) for movie in inputs.movies()],
        sidecars=inputs.staged(
            [layout.frames_sidecar(movie) for movie in inputs.movies()]
        ),
        shots=[layout.shots(movie) for movie in inputs.movies()],
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
        annotations=lambda wildcards, input: (
            ["--annotations", *input.annotations] if input.annotations else []
        ),
    shell:
        "python -m boldreel.stimuli.clips --stimuli {params.stimuli:q} {params.annotations:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule stimuli_features:
    """Features of all movies' frames and captions: loading the base models takes longer than a movie."""
    input:
        frames=expand(layout.frames(), movie=inputs.movies()),
        sidecars=inputs.staged(expand(layout.frames_sidecar(), movie=inputs.movies())),
        clips=layout.clips(),
        weights=inputs.weights("clip", "diffusion"),
    output:
        directory(expand(layout.features(), movie=inputs.movies())),
    log:
        layout.log("stimuli", "features"),
    benchmark:
        layout.benchmark("stimuli", "features")
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
        movies=inputs.movies(),
        training=inputs.movies("train", "validation"),
        clip=model("clip"),
        diffusion=model("diffusion"),
    shell:
        "python -m boldreel.stimuli.features --frames {input.frames:q} --clips {input.clips:q} "
        "--movie {params.movies:q} --training-movies {params.training:q} --clip-model {params.clip:q} "
        "--diffusion-model {params.diffusion:q} --output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
