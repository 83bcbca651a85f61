# `make ablate`: what each part of the encoder is worth, and what a new subject gains from others. Not
# part of a plain run; the report shows it once it is there.
ABLATED = (
    SUBJECTS
    if config["ablate"]["subjects"] is None
    else [subject for subject in SUBJECTS if subject in config["ablate"]["subjects"]]
)


rule ablate_pretrain:
    """Masked brain modelling with voxels in a random order, for the ablation `shuffled_voxels`."""
    input:
        corpus=layout.corpus(),
    output:
        directory(layout.shuffled_pretrained()),
    log:
        layout.log("ablate", "pretrain"),
    benchmark:
        layout.benchmark("ablate", "pretrain")
    conda:
        "../../envs/ablate.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=2880,
        gpu=config["pretrain"]["processes"],
    params:
        cfg=section("pretrain", dataset=DATASET, method=METHOD),
        seed=config["seed"],
        code=code("pretrain.train"),
        state=layout.state("ablate", "pretrain"),
    shell:
        "python -m boldreel.training.launch {resources.gpu} -m boldreel.pretrain.train "
        "--corpus {input.corpus:q} --output {output:q} --state {params.state:q} "
        "--shuffle-voxels {params.seed} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule ablate_train:
    """Train a subject's encoder without one part, and score it on the test clips."""
    input:
        unpack(responses()),
        pretrained=lambda wildcards: (
            layout.shuffled_pretrained()
            if wildcards.ablation == "shuffled_voxels"
            else PRETRAINED
        ),
        windows=layout.windows(),
        voxels=layout.voxels(),
        clips=layout.clips(),
        features=lambda wildcards: inputs.features(),
    output:
        layout.ablated(),
    log:
        layout.log("ablate", "train-{subject}-{ablation}-{seed}"),
    benchmark:
        layout.benchmark("ablate", "train-{subject}-{ablation}-{seed}")
    wildcard_constraints:
        ablation=one_of(ablations.ABLATIONS),
        seed=r"\d+",
    conda:
        "../../envs/ablate.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=1440,
        gpu=1,
    params:
        cfg=section(
            "align",
            leave_out=["subjects", "pool", "linear_path"],
            epochs=config["ablate"]["epochs"],
            learning_rate=config["ablate"]["learning_rate"],
        ),
        code=code("probe.ablate"),
        seed=config["seed"],
        state=layout.state("ablate", "sub-{subject}"),
        series=folder_of("series"),
    shell:
        "python -m boldreel.probe.ablate --ablation {wildcards.ablation} --seed {wildcards.seed} "
        "--order-seed {params.seed} --pretrained {input.pretrained:q}/model --windows {input.windows:q} "
        "--series-dir {params.series:q} --voxels {input.voxels:q} --clips {input.clips:q} "
        "--features {input.features:q} --subject {wildcards.subject} --output {output:q} "
        "--state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule ablate_table:
    """All ablations in one table, with intervals and differences."""
    input:
        expand(
            layout.ablated(),
            subject=ABLATED,
            ablation=ablations.ABLATIONS,
            seed=range(1, config["ablate"]["seeds"] + 1),
        ),
    output:
        layout.ablation(),
    log:
        layout.log("ablate", "table"),
    benchmark:
        layout.benchmark("ablate", "table")
    conda:
        "../../envs/ablate.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        code=code("probe.ablation_table"),
    shell:
        "python -m boldreel.probe.ablation_table --clips {input:q} --output {output:q} 2>&1 | tee {log:q}"


rule ablate_minutes:
    """Retrieval of a subject against minutes of its data, with the others' encoder and without."""
    input:
        unpack(responses("train", "test")),
        pool=layout.pooled_encoder("without-{subject}"),
        windows=layout.windows(),
        voxels=layout.voxels(),
        noise=NOISE,
        clips=layout.clips(),
        features=lambda wildcards: inputs.features(),
    output:
        layout.minutes(),
    log:
        layout.log("ablate", "minutes-{subject}"),
    benchmark:
        layout.benchmark("ablate", "minutes-{subject}")
    conda:
        "../../envs/ablate.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_pairs(4000, 16, lambda input: input.series[0]),
        runtime=240,
    params:
        cfg=section("align", leave_out=["subjects", "pool"]),
        code=code("probe.minutes"),
        series=folder_of("series"),
    shell:
        "python -m boldreel.probe.minutes --pool {input.pool:q} --noise {input.noise:q} --subject {wildcards.subject} "
        "--windows {input.windows:q} --series-dir {params.series:q} --voxels {input.voxels:q} "
        "--clips {input.clips:q} --features {input.features:q} --output {output:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"
