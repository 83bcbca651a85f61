# Stage 5: masked brain modelling on a corpus of its own subjects.


rule pretrain_corpus:
    """Shards of cleaned series of the cohort, and their manifest; test runs stay out."""
    input:
        series=[path for subject in COHORT for path in inputs.untested_series(subject)],
        sidecars=[
            path
            for subject in COHORT
            for path in inputs.sidecars(inputs.untested_series(subject))
        ],
        positions=layout.positions(),
    output:
        directory(layout.corpus()),
    log:
        layout.log("pretrain", "corpus"),
    benchmark:
        layout.benchmark("pretrain", "corpus")
    priority: 50
    conda:
        "../../envs/pretrain.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=240,
    params:
        cfg=section("pretrain", keep=["segment_duration", "shard_volumes"]),
        code=code("pretrain.corpus"),
    shell:
        "python -m boldreel.pretrain.corpus --series {input.series:q} --positions {input.positions:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule pretrain_noise:
    """How noise of different positions is correlated in the cohort, for whitening."""
    input:
        corpus=layout.corpus(),
    output:
        directory(NOISE),
    log:
        layout.log("pretrain", "noise"),
    benchmark:
        layout.benchmark("pretrain", "noise")
    priority: 50
    conda:
        "../../envs/pretrain.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_pairs(4000, 8, lambda input: f"{input.corpus}/present.npy"),
        runtime=120,
    params:
        code=code("pretrain.noise"),
    shell:
        "python -m boldreel.pretrain.noise --corpus {input.corpus:q} --output {output:q} 2>&1 | tee {log:q}"


rule pretrain_train:
    """Train the masked autoencoder; score it on held-out subjects against trivial predictors."""
    input:
        corpus=layout.corpus(),
    output:
        directory(PRETRAINED),
    log:
        layout.log("pretrain", "train"),
    benchmark:
        layout.benchmark("pretrain", "train")
    priority: 50
    conda:
        "../../envs/pretrain.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=2880,
        gpu=config["pretrain"]["processes"],
    params:
        cfg=section("pretrain", dataset=DATASET, method=METHOD),
        code=code("pretrain.train"),
        state=layout.state("pretrain", config["pretrain"]["cohort"]),
    shell:
        "python -m boldreel.training.launch {resources.gpu} -m boldreel.pretrain.train "
        "--corpus {input.corpus:q} --output {output:q} --state {params.state:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"
