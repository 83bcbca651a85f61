# Stage 6: a subject's windows into CLIP space.

# The arrays and their sidecars, that of the predictions first.
LEFT_OUT = with_noise(layout.left_out()) if parameters.leaves_predictions() else []


rule align_pool:
    """Train one encoder on the training windows of several subjects."""
    input:
        pretrained=PRETRAINED,
        noise=NOISE,
        windows=lambda wildcards: expand(
            layout.windows(), subject=study.members(wildcards.pool)
        ),
        series=lambda wildcards: [
            path
            for subject in study.members(wildcards.pool)
            for path in inputs.responses(subject, "train", "validation")
        ],
        sidecars=lambda wildcards: [
            path
            for subject in study.members(wildcards.pool)
            for path in inputs.sidecars(
                inputs.responses(subject, "train", "validation")
            )
        ],
        voxels=lambda wildcards: expand(
            layout.voxels(), subject=study.members(wildcards.pool)
        ),
        clips=layout.clips(),
        features=lambda wildcards: inputs.features("train", "validation"),
    output:
        directory(layout.pooled_encoder()),
    log:
        layout.log("align", "{pool}"),
    benchmark:
        layout.benchmark("align", "{pool}")
    wildcard_constraints:
        pool="pool|without-[A-Za-z0-9]+",
    conda:
        "../../envs/align.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_pairs(4000, 16, lambda input: input.series[0]),
        runtime=2880,
        gpu=config["align"]["processes"],
    params:
        cfg=section("align", leave_out=["subjects", "pool"]),
        code=code("align.pool"),
        state=layout.state("align", "{pool}"),
        subjects=lambda wildcards: study.members(wildcards.pool),
        series=folders_of("series"),
    shell:
        "python -m boldreel.training.launch {resources.gpu} -m boldreel.align.pool "
        "--pretrained {input.pretrained:q}/model --noise {input.noise:q} --subjects {params.subjects:q} "
        "--windows {input.windows:q} --series-dir {params.series:q} --voxels {input.voxels:q} "
        "--clips {input.clips:q} --features {input.features:q} --output {output:q} "
        "--state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule align_train:
    """Train the spatiotemporal encoder on training windows, images and captions."""
    input:
        unpack(responses("train", "validation")),
        pretrained=PRETRAINED,
        noise=NOISE,
        windows=layout.windows(),
        voxels=layout.voxels(),
        clips=layout.clips(),
        features=lambda wildcards: inputs.features("train", "validation"),
        pool=[layout.pooled_encoder("pool")] if study.pooled else [],
    output:
        model=directory(layout.encoder()),
        ridge=directory(layout.ridge()),
        history=layout.alignment_history(),
        left_out=LEFT_OUT,
    log:
        layout.log("align", "train-{subject}"),
    benchmark:
        layout.benchmark("align", "train-{subject}")
    priority: 40
    conda:
        "../../envs/align.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_pairs(4000, 16, lambda input: input.series[0]),
        runtime=1440,
        gpu=config["align"]["processes"],
    params:
        cfg=section("align", leave_out=["subjects", "pool"]),
        code=code("align.train"),
        state=layout.state("align", "sub-{subject}"),
        series=folder_of("series"),
        folder=folder_of("history"),
        pool=lambda wildcards, input: ["--pool", *input.pool] if input.pool else [],
        left_out=lambda wildcards, output: (
            ["--left-out", output.left_out[0]] if LEFT_OUT else []
        ),
    shell:
        "python -m boldreel.training.launch {resources.gpu} -m boldreel.align.train "
        "--pretrained {input.pretrained:q}/model --noise {input.noise:q} --windows {input.windows:q} "
        "--series-dir {params.series:q} --voxels {input.voxels:q} --clips {input.clips:q} "
        "--features {input.features:q} {params.pool:q} {params.left_out:q} --subject {wildcards.subject} "
        "--output {params.folder:q} --state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


if parameters.packed():

    rule align_sketch:
        """Decode coarse colours, and where a clip moves: what the packed generator draws from."""
        input:
            unpack(responses("train", "validation")),
            noise=NOISE,
            windows=layout.windows(),
            voxels=layout.voxels(),
            clips=layout.clips(),
            features=lambda wildcards: inputs.features("train", "validation"),
        output:
            model=directory(layout.sketch_decoder()),
            left_out=with_noise(layout.sketch_left_out()),
        log:
            layout.log("align", "sketch-{subject}"),
        benchmark:
            layout.benchmark("align", "sketch-{subject}")
        priority: 40
        conda:
            "../../envs/align.yaml"
        threads: 1
        resources:
            mem_mb=memory_of_pairs(4000, 16, lambda input: input.series[0]),
            runtime=1440,
        params:
            cfg=section("align", leave_out=["subjects", "pool"]),
            code=code("align.sketch"),
            series=folder_of("series"),
        shell:
            "python -m boldreel.align.sketch --noise {input.noise:q} --windows {input.windows:q} "
            "--series-dir {params.series:q} --voxels {input.voxels:q} --clips {input.clips:q} "
            "--features {input.features:q} --left-out {output.left_out[0]:q} --output {output.model:q} "
            "--config {params.cfg:q} 2>&1 | tee {log:q}"
