# Stage 5: masked brain modelling on a corpus of its own subjects.
CORPUS = f"{R}/corpus"
PRETRAINED = f"{R}/pretrain/{config['pretrain']['cohort']}"


rule pretrain_corpus:
    """Shards of cleaned series of the cohort, and their manifest; test runs stay out."""
    input:
        series=[
            path
            for subject in COHORT
            for path in series_of(subject, study.untested(subject))
        ],
        sidecars=[
            path
            for subject in COHORT
            for path in sidecars(series_of(subject, study.untested(subject)))
        ],
        positions=f"{R}/atlas/positions.parquet",
    output:
        directory(CORPUS),
    log:
        f"{LOGS}/pretrain/corpus.log",
    benchmark:
        f"{R}/benchmarks/pretrain/corpus.tsv"
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


rule pretrain_train:
    """Train the masked autoencoder; score it on held-out subjects against trivial predictors."""
    input:
        corpus=CORPUS,
    output:
        directory(PRETRAINED),
    log:
        f"{LOGS}/pretrain/train.log",
    benchmark:
        f"{R}/benchmarks/pretrain/train.tsv"
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
        state=f"{STATE}/pretrain/{config['pretrain']['cohort']}",
    shell:
        "python -m boldreel.training.launch {resources.gpu} -m boldreel.pretrain.train "
        "--corpus {input.corpus:q} --output {output:q} --state {params.state:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"
