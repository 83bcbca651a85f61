# What a fitted encoder knows: retrieval of test clips, on all data and on parts, and where it looks.


rule probe_encode:
    """What a subject's encoder makes of the test clips, once for all that is scored."""
    input:
        unpack(responses("test")),
        model=layout.encoder(),
        windows=layout.windows(),
    output:
        directory(layout.test_predictions()),
    log:
        layout.log("probe", "encode-{subject}"),
    benchmark:
        layout.benchmark("probe", "encode-{subject}")
    conda:
        "../../envs/probe.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=120,
        gpu=1,
    params:
        code=code("probe.encode"),
        series=folder_of("series"),
        folder=folder_of("model"),
    shell:
        "python -m boldreel.probe.encode --align {params.folder:q} --windows {input.windows:q} "
        "--series-dir {params.series:q} --output {output:q} 2>&1 | tee {log:q}"


rule probe_retrieve:
    """Retrieval of test clips from all repeats and from fewer, by the encoder and by ridge, with chance."""
    input:
        unpack(responses("test")),
        test=layout.test_predictions(),
        model=layout.encoder(),
        ridge=layout.ridge(),
        windows=layout.windows(),
        clips=layout.clips(),
        features=lambda wildcards: inputs.features(),
    output:
        table=layout.retrieval(),
        repeats=layout.repeats(),
    log:
        layout.log("probe", "retrieve-{subject}"),
    benchmark:
        layout.benchmark("probe", "retrieve-{subject}")
    conda:
        "../../envs/probe.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=120,
    params:
        cfg=section(
            "evaluate",
            keep=[
                "permutations",
                "shifts",
                "min_shift",
            ],
            dataset=DATASET,
            method=METHOD,
            combination=config["evaluate"]["combination"],
        ),
        code=code("probe.retrieve", "probe.repeats"),
        series=folder_of("series"),
        folder=folder_of("model"),
    shell:
        "python -m boldreel.probe.retrieve --align {params.folder:q} --test {input.test:q} "
        "--windows {input.windows:q} --series-dir {params.series:q} --clips {input.clips:q} --features {input.features:q} "
        "--subject {wildcards.subject} --output {output.table:q} --config {params.cfg:q} 2>&1 | tee {log:q} && "
        "python -m boldreel.probe.repeats --align {params.folder:q} --test {input.test:q} "
        "--windows {input.windows:q} --series-dir {params.series:q} --clips {input.clips:q} --features {input.features:q} "
        "--subject {wildcards.subject} --output {output.repeats:q} --config {params.cfg:q} 2>&1 "
        "| tee -a {log:q}"


rule probe_attributes:
    """Attributes read from what the encoder predicts, and from responses directly."""
    input:
        unpack(responses("train", "validation", "test")),
        test=layout.test_predictions(),
        model=layout.encoder(),
        left_out=LEFT_OUT,
        windows=layout.windows(),
        voxels=layout.voxels(),
        clips=layout.clips(),
        features=lambda wildcards: inputs.features(),
    output:
        layout.attributes(),
    log:
        layout.log("probe", "attributes-{subject}"),
    benchmark:
        layout.benchmark("probe", "attributes-{subject}")
    conda:
        "../../envs/probe.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        cfg=section(
            "evaluate",
            keep=[
                "permutations",
                "shifts",
                "min_shift",
            ],
        ),
        code=code("probe.attributes"),
        series=folder_of("series"),
        folder=folder_of("model"),
    shell:
        "python -m boldreel.probe.attributes --subject {wildcards.subject} --align {params.folder:q} "
        "--test {input.test:q} --left-out {input.left_out[0]:q} --windows {input.windows:q} --series-dir {params.series:q} "
        "--voxels {input.voxels:q} --clips {input.clips:q} --features {input.features:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule probe_parts:
    """Retrieval by the linear path on parts of the data: groups of areas, areas of control, minutes of training."""
    input:
        unpack(of_subject(inputs.control_series)),
        unpack(responses("train", "test")),
        noise=NOISE,
        windows=layout.windows(),
        voxels=layout.voxels(),
        clips=layout.clips(),
        features=lambda wildcards: inputs.features(),
    output:
        rois=layout.rois(),
        scaling=layout.scaling(),
    log:
        layout.log("probe", "parts-{subject}"),
    benchmark:
        layout.benchmark("probe", "parts-{subject}")
    conda:
        "../../envs/probe.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_pairs(4000, 16, lambda input: input.series[0]),
        runtime=240,
    params:
        cfg=section("align", leave_out=["subjects", "pool"]),
        code=code("probe.rois", "probe.scaling"),
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
        "python -m boldreel.probe.rois --subject {wildcards.subject} --windows {input.windows:q} "
        "--series-dir {params.series:q} --voxels {input.voxels:q} --clips {input.clips:q} "
        "--features {input.features:q} --noise {input.noise:q} {params.control:q} "
        "--output {output.rois:q} --config {params.cfg:q} "
        "2>&1 | tee {log:q} && "
        "python -m boldreel.probe.scaling --subject {wildcards.subject} --windows {input.windows:q} "
        "--series-dir {params.series:q} --voxels {input.voxels:q} --clips {input.clips:q} "
        "--features {input.features:q} --noise {input.noise:q} --output {output.scaling:q} --config {params.cfg:q} 2>&1 "
        "| tee -a {log:q}"


rule probe_cross:
    """Retrieval from another subject's responses with each subject's encoder, as a control."""
    input:
        model=expand(layout.encoder(), subject=SUBJECTS),
        windows=expand(layout.windows(), subject=SUBJECTS),
        series=lambda wildcards: [
            path for subject in SUBJECTS for path in inputs.responses(subject, "test")
        ],
        sidecars=lambda wildcards: [
            path
            for subject in SUBJECTS
            for path in inputs.sidecars(inputs.responses(subject, "test"))
        ],
        clips=layout.clips(),
        features=lambda wildcards: inputs.features(),
    output:
        layout.other_subject(),
    log:
        layout.log("probe", "cross"),
    benchmark:
        layout.benchmark("probe", "cross")
    conda:
        "../../envs/probe.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=240,
        gpu=1,
    params:
        cfg=section(
            "evaluate",
            keep=[
                "permutations",
                "shifts",
                "min_shift",
            ],
            dataset=DATASET,
            method=METHOD,
        ),
        code=code("probe.cross"),
        subjects=SUBJECTS,
        folders=folders_of("model"),
        series=folders_of("series"),
    shell:
        "python -m boldreel.probe.cross --subjects {params.subjects:q} --align {params.folders:q} "
        "--windows {input.windows:q} --series-dir {params.series:q} --clips {input.clips:q} "
        "--features {input.features:q} --output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule probe_zero_shot:
    """Retrieval by a linear path that was fitted on other subjects alone, for each subject."""
    input:
        noise=NOISE,
        windows=expand(layout.windows(), subject=SUBJECTS),
        series=lambda wildcards: [
            path for subject in SUBJECTS for path in inputs.responses(subject)
        ],
        sidecars=lambda wildcards: [
            path
            for subject in SUBJECTS
            for path in inputs.sidecars(inputs.responses(subject))
        ],
        voxels=expand(layout.voxels(), subject=SUBJECTS),
        clips=layout.clips(),
        features=lambda wildcards: inputs.features(),
    output:
        layout.zero_shot(),
    log:
        layout.log("probe", "zero_shot"),
    benchmark:
        layout.benchmark("probe", "zero_shot")
    conda:
        "../../envs/probe.yaml"
    threads: 1
    resources:
        mem_mb=memory_of_pairs(4000, 16, lambda input: input.series[0]),
        runtime=240,
    params:
        cfg=section(
            "evaluate",
            keep=[
                "permutations",
                "shifts",
                "min_shift",
            ],
            dataset=DATASET,
            method=METHOD,
        ),
        align=section("align", leave_out=["subjects", "pool"]),
        code=code("probe.zero_shot"),
        subjects=SUBJECTS,
        series=folders_of("series"),
    shell:
        "python -m boldreel.probe.zero_shot --subjects {params.subjects:q} --windows {input.windows:q} "
        "--series-dir {params.series:q} --voxels {input.voxels:q} --clips {input.clips:q} "
        "--features {input.features:q} --noise {input.noise:q} --align {params.align:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule probe_attention:
    """Where a subject's encoder looks, before and after its trainings, next to encoders with random weights."""
    input:
        unpack(responses("test")),
        pretrained=PRETRAINED,
        aligned=layout.encoder(),
        cotrained=layout.cotrained(),
        windows=layout.windows(),
        positions=layout.positions(),
    output:
        positions=layout.attention(),
        regions=layout.attention_regions(),
    log:
        layout.log("probe", "attention-{subject}"),
    benchmark:
        layout.benchmark("probe", "attention-{subject}")
    conda:
        "../../envs/probe.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=120,
        gpu=1,
    params:
        cfg=json.dumps({"seed": config["seed"]}),
        code=code("probe.attention"),
        series=folder_of("series"),
    shell:
        "python -m boldreel.probe.attention --pretrained {input.pretrained:q}/model "
        "--aligned {input.aligned:q} --cotrained {input.cotrained:q}/encoder --windows {input.windows:q} "
        "--series-dir {params.series:q} --positions {input.positions:q} --output {output.positions:q} "
        "--output-regions {output.regions:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
