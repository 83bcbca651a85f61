# Stage 6: a subject's windows into CLIP space, and retrieval there, before any generator.


rule align_pool:
    """Train one encoder on the training windows of several subjects."""
    input:
        pretrained=PRETRAINED,
        windows=lambda wildcards: expand(
            layout.windows(), subject=study.members(wildcards.pool)
        ),
        series=lambda wildcards: [
            path
            for subject in study.members(wildcards.pool)
            for path in responses(subject, "train", "validation")
        ],
        sidecars=lambda wildcards: [
            path
            for subject in study.members(wildcards.pool)
            for path in sidecars(responses(subject, "train", "validation"))
        ],
        voxels=lambda wildcards: expand(
            layout.voxels(), subject=study.members(wildcards.pool)
        ),
        clips=layout.clips(),
        features=lambda wildcards: features("train", "validation"),
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
        mem_mb=memory(4000),
        runtime=2880,
        gpu=config["align"]["processes"],
    params:
        cfg=section("align", leave_out=["subjects", "pool", "permutations"]),
        code=code("align.pool"),
        state=layout.state("align", "{pool}"),
        subjects=lambda wildcards: study.members(wildcards.pool),
        series=lambda wildcards, input: list(
            dict.fromkeys(str(Path(path).parent) for path in input.series)
        ),
    shell:
        "python -m boldreel.training.launch {resources.gpu} -m boldreel.align.pool "
        "--pretrained {input.pretrained:q}/model --subjects {params.subjects:q} "
        "--windows {input.windows:q} --series-dir {params.series:q} --voxels {input.voxels:q} "
        "--clips {input.clips:q} --features {input.features:q} --output {output:q} "
        "--state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule align_train:
    """Train the spatiotemporal encoder on training windows, images and captions."""
    input:
        unpack(own_responses("train", "validation")),
        pretrained=PRETRAINED,
        windows=layout.windows(),
        voxels=layout.voxels(),
        clips=layout.clips(),
        features=lambda wildcards: features("train", "validation"),
        pool=[layout.pooled_encoder("pool")] if study.pooled else [],
    output:
        model=directory(layout.encoder()),
        ridge=directory(layout.ridge()),
        history=layout.alignment_history(),
    log:
        layout.log("align", "train-{subject}"),
    benchmark:
        layout.benchmark("align", "train-{subject}")
    priority: 40
    conda:
        "../../envs/align.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=1440,
        gpu=config["align"]["processes"],
    params:
        cfg=section("align", leave_out=["subjects", "pool", "permutations"]),
        code=code("align.train"),
        state=layout.state("align", "sub-{subject}"),
        series=folder_of("series"),
        folder=folder_of("history"),
        pool=lambda wildcards, input: ["--pool", *input.pool] if input.pool else [],
    shell:
        "python -m boldreel.training.launch {resources.gpu} -m boldreel.align.train "
        "--pretrained {input.pretrained:q}/model --windows {input.windows:q} "
        "--series-dir {params.series:q} --voxels {input.voxels:q} --clips {input.clips:q} "
        "--features {input.features:q} {params.pool:q} --subject {wildcards.subject} "
        "--output {params.folder:q} --state {params.state:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule align_retrieve:
    """Retrieval of test clips, from all repeats and from fewer, with ridge beside the encoder, and chance."""
    input:
        unpack(own_responses("test")),
        model=layout.encoder(),
        ridge=layout.ridge(),
        windows=layout.windows(),
        clips=layout.clips(),
        features=lambda wildcards: features(),
    output:
        table=layout.retrieval(),
        test=directory(layout.test_predictions()),
        repeats=layout.repeats(),
    log:
        layout.log("align", "retrieve-{subject}"),
    benchmark:
        layout.benchmark("align", "retrieve-{subject}")
    conda:
        "../../envs/align.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=120,
    params:
        cfg=section(
            "align",
            keep=["permutations"],
            dataset=DATASET,
            method=METHOD,
            combination=config["evaluate"]["combination"],
        ),
        code=code("align.retrieve", "align.repeats"),
        series=folder_of("series"),
        folder=folder_of("model"),
    shell:
        "python -m boldreel.align.retrieve --align {params.folder:q} --windows {input.windows:q} "
        "--series-dir {params.series:q} --clips {input.clips:q} --features {input.features:q} "
        "--subject {wildcards.subject} --output {output.table:q} --config {params.cfg:q} 2>&1 | tee {log:q} && "
        "python -m boldreel.align.repeats --align {params.folder:q} --windows {input.windows:q} "
        "--series-dir {params.series:q} --clips {input.clips:q} --features {input.features:q} "
        "--subject {wildcards.subject} --output {output.repeats:q} --config {params.cfg:q} 2>&1 "
        "| tee -a {log:q}"


rule align_parts:
    """Retrieval by ridge on parts of the data: groups of areas, areas of control, minutes of training."""
    input:
        unpack(control_series),
        unpack(own_responses("train", "test")),
        windows=layout.windows(),
        voxels=layout.voxels(),
        clips=layout.clips(),
        features=lambda wildcards: features(),
    output:
        rois=layout.rois(),
        scaling=layout.scaling(),
    log:
        layout.log("align", "parts-{subject}"),
    benchmark:
        layout.benchmark("align", "parts-{subject}")
    conda:
        "../../envs/align.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        cfg=section("align", leave_out=["subjects", "pool", "permutations"]),
        code=code("align.rois", "align.scaling"),
        series=folder_of("series"),
        control=lambda wildcards, input: (
            [
                *("--control-positions", input.control_positions),
                *("--control-series", input.control_series),
            ]
            if "control_series" in input.keys()
            else []
        ),
    shell:
        "python -m boldreel.align.rois --subject {wildcards.subject} --windows {input.windows:q} "
        "--series-dir {params.series:q} --voxels {input.voxels:q} --clips {input.clips:q} "
        "--features {input.features:q} {params.control:q} --output {output.rois:q} --config {params.cfg:q} "
        "2>&1 | tee {log:q} && "
        "python -m boldreel.align.scaling --subject {wildcards.subject} --windows {input.windows:q} "
        "--series-dir {params.series:q} --voxels {input.voxels:q} --clips {input.clips:q} "
        "--features {input.features:q} --output {output.scaling:q} --config {params.cfg:q} 2>&1 "
        "| tee -a {log:q}"


rule align_cross:
    """What each subject's encoder makes of another subject's responses: a control for the table."""
    input:
        model=expand(layout.encoder(), subject=SUBJECTS),
        windows=expand(layout.windows(), subject=SUBJECTS),
        series=lambda wildcards: [
            path for subject in SUBJECTS for path in responses(subject, "test")
        ],
        sidecars=lambda wildcards: [
            path
            for subject in SUBJECTS
            for path in sidecars(responses(subject, "test"))
        ],
        clips=layout.clips(),
        features=lambda wildcards: features(),
    output:
        layout.other_subject(),
    log:
        layout.log("align", "cross"),
    benchmark:
        layout.benchmark("align", "cross")
    conda:
        "../../envs/align.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=240,
    params:
        cfg=section(
            "align",
            keep=["permutations"],
            dataset=DATASET,
            method=METHOD,
        ),
        code=code("align.cross"),
        subjects=SUBJECTS,
        folders=lambda wildcards, input: [
            str(Path(path).parent) for path in input.model
        ],
        series=lambda wildcards, input: list(
            dict.fromkeys(str(Path(path).parent) for path in input.series)
        ),
    shell:
        "python -m boldreel.align.cross --subjects {params.subjects:q} --align {params.folders:q} "
        "--windows {input.windows:q} --series-dir {params.series:q} --clips {input.clips:q} "
        "--features {input.features:q} --output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule align_attention:
    """Where a subject's encoder looks, before and after its trainings, beside encoders with random weights."""
    input:
        unpack(own_responses("test")),
        pretrained=PRETRAINED,
        aligned=layout.encoder(),
        cotrained=layout.cotrained(),
        windows=layout.windows(),
        positions=layout.positions(),
    output:
        positions=layout.attention(),
        regions=layout.attention_regions(),
    log:
        layout.log("align", "attention-{subject}"),
    benchmark:
        layout.benchmark("align", "attention-{subject}")
    conda:
        "../../envs/align.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=120,
    params:
        cfg=json.dumps({"seed": config["seed"]}),
        code=code("align.attention"),
        series=folder_of("series"),
    shell:
        "python -m boldreel.align.attention --pretrained {input.pretrained:q}/model "
        "--aligned {input.aligned:q} --cotrained {input.cotrained:q}/encoder --windows {input.windows:q} "
        "--series-dir {params.series:q} --positions {input.positions:q} --output {output.positions:q} "
        "--output-regions {output.regions:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
