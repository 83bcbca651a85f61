# Stage 3: which voxels, in which order; cleaned series per run.


rule roi_template:
    """Positions of the atlas in MNI: the same table, in the same order, for everybody."""
    input:
        unpack(lambda wildcards: inputs.positions()),
    output:
        layout.positions(),
    log:
        layout.log("roi", "template"),
    benchmark:
        layout.benchmark("roi", "template")
    priority: 70
    conda:
        "../../envs/roi.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=10,
    params:
        cfg=section(
            "roi",
            leave_out=["control"],
            **study.atlas,
            resolution=config["bold"]["resolution"],
            output_box=config["bold"]["output_box"],
        ),
        code=code("roi.template"),
        runs=lambda wildcards, input: ["--runs", *input.runs] if input.runs else [],
    shell:
        "python -m boldreel.roi.template {params.runs:q} --output {output:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule roi_series:
    """The cleaned series of one run at the atlas' positions."""
    input:
        unpack(of_run(inputs.run)),
        positions=layout.positions(),
    output:
        series=layout.series(),
        sidecar=layout.series_sidecar(),
    log:
        layout.log("roi", "series-{subject}-{segment}-{repeat}"),
    benchmark:
        layout.benchmark("roi", "series-{subject}-{segment}-{repeat}")
    priority: 70
    conda:
        "../../envs/roi.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=20,
    params:
        cfg=section("roi", leave_out=["control"]),
        code=code("roi.series"),
        run=parameters.run,
    shell:
        "python -m boldreel.roi.series --positions {input.positions:q} {params.run:q} "
        "--output {output.series:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule roi_control:
    """Positions of areas where nothing visual is expected."""
    input:
        unpack(lambda wildcards: inputs.positions()),
    output:
        layout.control_positions(),
    log:
        layout.log("roi", "control"),
    benchmark:
        layout.benchmark("roi", "control")
    priority: 70
    conda:
        "../../envs/roi.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=10,
    params:
        cfg=section(
            "roi",
            **study.atlas,
            resolution=config["bold"]["resolution"],
            output_box=config["bold"]["output_box"],
        ),
        code=code("roi.template"),
        runs=lambda wildcards, input: ["--runs", *input.runs] if input.runs else [],
    shell:
        "python -m boldreel.roi.template --control {params.runs:q} --output {output:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule roi_control_series:
    """The cleaned series of a subject's runs in those areas."""
    input:
        unpack(of_subject(inputs.control_runs)),
        positions=layout.control_positions(),
    output:
        directory(layout.control_series()),
    log:
        layout.log("roi", "control-{subject}"),
    benchmark:
        layout.benchmark("roi", "control-{subject}")
    conda:
        "../../envs/roi.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        cfg=section("roi", leave_out=["control"]),
        code=code("roi.control"),
        runs=parameters.control_runs,
    shell:
        "python -m boldreel.roi.control --positions {input.positions:q} {params.runs:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule roi_voxels:
    """A subject's voxel table: present, reliable over training repeats, selected."""
    input:
        positions=layout.positions(),
        series=lambda wildcards: inputs.series(wildcards.subject, "train", "validation"),
        sidecars=lambda wildcards: inputs.sidecars(
            inputs.series(wildcards.subject, "train", "validation")
        ),
        presentations=layout.presentations(),
    output:
        layout.voxels(),
    log:
        layout.log("roi", "voxels-{subject}"),
    benchmark:
        layout.benchmark("roi", "voxels-{subject}")
    priority: 70
    conda:
        "../../envs/roi.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=20,
    params:
        cfg=section("roi", leave_out=["control"]),
        code=code("roi.voxels"),
    shell:
        "python -m boldreel.roi.voxels --positions {input.positions:q} --series {input.series:q} "
        "--presentations {input.presentations:q} --output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"
