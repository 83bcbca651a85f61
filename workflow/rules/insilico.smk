# Stage 0, for the embedded demo alone: a raw BIDS data set and its movies, simulated with known truth.
# Nothing downstream knows; the truth lies apart, in results/{dataset}/truth.
TASKS = [*design.segments(study.insilico), design.REST]


rule insilico_dataset:
    """Describe the simulated data set as BIDS wants it."""
    output:
        description=layout.bids_document("dataset_description.json"),
        readme=layout.bids_document("README"),
        participants=layout.bids_document("participants.tsv"),
        sidecars=[
            layout.bids_document(f"{name}.json")
            for name in ("participants", *(f"task-{task}_events" for task in TASKS))
        ],
    log:
        layout.log("insilico", "dataset"),
    benchmark:
        layout.benchmark("insilico", "dataset")
    conda:
        "../../envs/insilico.yaml"
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=5,
    params:
        cfg=section("insilico"),
        code=code("insilico.dataset"),
        subjects=[*SUBJECTS, *COHORT],
        bids=folder_of("description"),
    shell:
        "python -m boldreel.insilico.dataset --bids {params.bids:q} --subjects {params.subjects:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule insilico_movie:
    """Draw the movie of one segment, with the annotations of its shots."""
    output:
        movie=layout.simulated_movie(),
        annotations=layout.simulated_shots(),
    log:
        layout.log("insilico", "movie-{segment}"),
    benchmark:
        layout.benchmark("insilico", "movie-{segment}")
    priority: 100
    conda:
        "../../envs/insilico.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=10,
    params:
        cfg=section("insilico"),
        code=code("insilico.movie"),
    shell:
        "python -m boldreel.insilico.movie --segment {wildcards.segment} --output {output.movie:q} "
        "--config {params.cfg:q} 2>&1 | tee {log:q}"


rule insilico_drive:
    """What in the movies drives the simulated cortex, as time courses."""
    input:
        movies=lambda wildcards: inputs.movie_files(),
        annotations=lambda wildcards: [
            path[:-4] + ".tsv" for path in inputs.movie_files()
        ],
    output:
        directory(layout.true_drive()),
    log:
        layout.log("insilico", "drive"),
    benchmark:
        layout.benchmark("insilico", "drive")
    priority: 100
    conda:
        "../../envs/insilico.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=10,
    params:
        cfg=section("insilico"),
        code=code("insilico.drive"),
    shell:
        "python -m boldreel.insilico.drive --movies {input.movies:q} --annotations {input.annotations:q} "
        "--output {output:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule insilico_anatomy:
    """One subject's head: T1w image, and the truth about its brain."""
    input:
        atlas=existing(LIB / "boldreel" / "roi" / "tables" / "visual_centres.tsv"),
    output:
        t1w=layout.simulated_t1w(),
        sidecar=layout.simulated_t1w_sidecar(),
        truth=layout.true_anatomy(),
        encoding=layout.true_encoding(),
        epi=layout.true_epi(),
    log:
        layout.log("insilico", "anatomy-{subject}"),
    benchmark:
        layout.benchmark("insilico", "anatomy-{subject}")
    priority: 100
    conda:
        "../../envs/insilico.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=10,
    params:
        cfg=section("insilico"),
        code=code("insilico.anatomy"),
    shell:
        "python -m boldreel.insilico.anatomy --subject {wildcards.subject} --output {output.t1w:q} "
        "--truth {output.truth:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


rule insilico_bold:
    """A subject's functional runs: raw BOLD with sidecars and events."""
    input:
        anatomy=layout.true_anatomy(),
        encoding=layout.true_encoding(),
        epi=layout.true_epi(),
        spectrum=existing(LIB / "boldreel" / "insilico" / "noise_spectrum.json"),
        drive=layout.true_drive(),
    output:
        bold=inputs.simulated(layout.simulated_runs(), "_bold.nii"),
        events=inputs.simulated(layout.simulated_runs(), "_events.tsv"),
        sidecar=inputs.simulated(layout.simulated_runs(), "_bold.json"),
        truth=inputs.simulated(layout.true_runs(), ".json"),
    log:
        layout.log("insilico", "bold-{subject}"),
    benchmark:
        layout.benchmark("insilico", "bold-{subject}")
    priority: 100
    conda:
        "../../envs/insilico.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=60,
    params:
        cfg=section("insilico"),
        code=code("insilico.bold"),
        func=folder_of("bold"),
        truth=folder_of("anatomy"),
    shell:
        "python -m boldreel.insilico.bold --subject {wildcards.subject} --drive {input.drive:q} "
        "--func {params.func:q} --truth {params.truth:q} --config {params.cfg:q} 2>&1 | tee {log:q}"


use rule insilico_bold as insilico_rest with:
    output:
        bold=inputs.simulated(layout.simulated_runs(), "_bold.nii", rest=True),
        events=inputs.simulated(layout.simulated_runs(), "_events.tsv", rest=True),
        sidecar=inputs.simulated(layout.simulated_runs(), "_bold.json", rest=True),
        truth=inputs.simulated(layout.true_runs(), ".json", rest=True),
    log:
        layout.log("insilico", "rest-{subject}"),
    benchmark:
        layout.benchmark("insilico", "rest-{subject}")
