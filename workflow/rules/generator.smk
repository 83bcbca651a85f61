# Stage 7: Stable Diffusion inflated to video, tuned on training movies, then with each encoder.


rule generator_latents:
    """Latents of the training movies' frames, once for all trainings."""
    input:
        frames=[
            f"{R}/stimuli/{movie}/frames.npy"
            for movie in movies("train", "validation")
        ],
        sidecars=staged(
            [
                f"{R}/stimuli/{movie}/frames.json"
                for movie in movies("train", "validation")
            ]
        ),
        weights=weights("diffusion"),
    output:
        latents=[
            f"{R}/generator/latents/{movie}.npy"
            for movie in movies("train", "validation")
        ],
        sidecar=[
            f"{R}/generator/latents/{movie}.json"
            for movie in movies("train", "validation")
        ],
    log:
        f"{LOGS}/generator/latents.log",
    benchmark:
        f"{R}/benchmarks/generator/latents.tsv"
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
    """Inflate the image model and tune its attention on clips of the training movies."""
    input:
        latents=[
            f"{R}/generator/latents/{movie}.npy"
            for movie in movies("train", "validation")
        ],
        sidecars=staged(
            [
                f"{R}/generator/latents/{movie}.json"
                for movie in movies("train", "validation")
            ]
        ),
        features=lambda wildcards: features("train", "validation"),
        clips=f"{R}/clips.parquet",
        weights=weights("diffusion"),
    output:
        model=directory(f"{R}/generator/model"),
        history=f"{R}/generator/history.tsv",
        strip=f"{R}/generator/strip.png",
        strips=directory(f"{R}/generator/strips"),
    log:
        f"{LOGS}/generator/tune.log",
    benchmark:
        f"{R}/benchmarks/generator/tune.tsv"
    priority: 30
    conda:
        "../../envs/generator.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=2880,
        gpu=config["generator"]["processes"],
    params:
        cfg=section("generator", segments=config["segments"]),
        code=code("generator.tune"),
        state=f"{STATE}/generator",
        diffusion=model("diffusion"),
        folder=folder_of("history"),
    shell:
        "python -m boldreel.training.launch {resources.gpu} -m boldreel.generator.tune "
        "--diffusion-model {params.diffusion:q} "
        "--latents {input.latents:q} --features {input.features:q} --clips {input.clips:q} "
        "--output {params.folder:q} --state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule generator_cotrain:
    """Tune a subject's encoder and the generator together, end to end."""
    input:
        unpack(own_responses("train", "validation")),
        generator=f"{R}/generator/model",
        encoder=f"{R}/sub-{{subject}}/align/model",
        windows=f"{R}/sub-{{subject}}/windows.parquet",
        clips=f"{R}/clips.parquet",
        features=lambda wildcards: features("train", "validation"),
        latents=[
            f"{R}/generator/latents/{movie}.npy"
            for movie in movies("train", "validation")
        ],
        latents_sidecars=staged(
            [
                f"{R}/generator/latents/{movie}.json"
                for movie in movies("train", "validation")
            ]
        ),
        weights=weights("diffusion"),
    output:
        directory(f"{R}/sub-{{subject}}/cotrain"),
    log:
        f"{LOGS}/generator/cotrain-{{subject}}.log",
    benchmark:
        f"{R}/benchmarks/generator/cotrain-{{subject}}.tsv"
    priority: 30
    conda:
        "../../envs/generator.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=2880,
        gpu=config["cotrain"]["processes"],
    params:
        cfg=section("cotrain", segments=config["segments"]),
        code=code("generator.cotrain"),
        state=f"{STATE}/cotrain/sub-{{subject}}",
        series=folder_of("series"),
        diffusion=model("diffusion"),
    shell:
        "python -m boldreel.training.launch {resources.gpu} -m boldreel.generator.cotrain "
        "--generator {input.generator:q} --encoder {input.encoder:q} "
        "--windows {input.windows:q} --series-dir {params.series:q} --clips {input.clips:q} "
        "--features {input.features:q} --latents {input.latents:q} --diffusion-model {params.diffusion:q} "
        "--output {output:q} --state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
