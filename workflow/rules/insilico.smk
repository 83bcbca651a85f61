# Stage 0, for the embedded demo alone: a raw BIDS data set and its movies, simulated with known truth.
# Nothing downstream knows; the truth lies apart, in results/{dataset}/truth.
TRUTH = f"{R}/truth"
TASKS = [*design.segments(study.insilico), design.REST]
FUNC = f"{R}/bids/sub-{{subject}}/func/sub-{{subject}}_"


rule insilico_dataset:
    """Describe the simulated data set as BIDS wants it."""
    output:
        description=f"{R}/bids/dataset_description.json",
        readme=f"{R}/bids/README",
        participants=f"{R}/bids/participants.tsv",
        sidecars=[
            f"{R}/bids/{name}.json"
            for name in ("participants", *(f"task-{task}_events" for task in TASKS))
        ],
    log:
        f"{LOGS}/insilico/dataset.log",
    benchmark:
        f"{R}/benchmarks/insilico/dataset.tsv"
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
        movie=f"{R}/bids/stimuli/{{segment}}.mp4",
        annotations=f"{R}/bids/stimuli/{{segment}}.tsv",
    log:
        f"{LOGS}/insilico/movie-{{segment}}.log",
    benchmark:
        f"{R}/benchmarks/insilico/movie-{{segment}}.tsv"
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
        movies=lambda wildcards: movie_files(),
        annotations=lambda wildcards: [path[:-4] + ".tsv" for path in movie_files()],
    output:
        directory(f"{TRUTH}/drive"),
    log:
        f"{LOGS}/insilico/drive.log",
    benchmark:
        f"{R}/benchmarks/insilico/drive.tsv"
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
        atlas=given(LIB / "boldreel" / "roi" / "tables" / "visual_centres.tsv"),
    output:
        t1w=f"{R}/bids/sub-{{subject}}/anat/sub-{{subject}}_T1w.nii.gz",
        sidecar=f"{R}/bids/sub-{{subject}}/anat/sub-{{subject}}_T1w.json",
        truth=f"{TRUTH}/sub-{{subject}}/anatomy.json",
        encoding=f"{TRUTH}/sub-{{subject}}/encoding.npz",
        epi=f"{TRUTH}/sub-{{subject}}/epi.npz",
    log:
        f"{LOGS}/insilico/anatomy-{{subject}}.log",
    benchmark:
        f"{R}/benchmarks/insilico/anatomy-{{subject}}.tsv"
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
        anatomy=f"{TRUTH}/sub-{{subject}}/anatomy.json",
        encoding=f"{TRUTH}/sub-{{subject}}/encoding.npz",
        epi=f"{TRUTH}/sub-{{subject}}/epi.npz",
        spectrum=given(LIB / "boldreel" / "insilico" / "noise_spectrum.json"),
        drive=f"{TRUTH}/drive",
    output:
        bold=simulated(FUNC, "_bold.nii"),
        events=simulated(FUNC, "_events.tsv"),
        sidecar=simulated(FUNC, "_bold.json"),
        truth=simulated(f"{TRUTH}/sub-{{subject}}/", ".json"),
    log:
        f"{LOGS}/insilico/bold-{{subject}}.log",
    benchmark:
        f"{R}/benchmarks/insilico/bold-{{subject}}.tsv"
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
        bold=simulated(FUNC, "_bold.nii", rest=True),
        events=simulated(FUNC, "_events.tsv", rest=True),
        sidecar=simulated(FUNC, "_bold.json", rest=True),
        truth=simulated(f"{TRUTH}/sub-{{subject}}/", ".json", rest=True),
    log:
        f"{LOGS}/insilico/rest-{{subject}}.log",
    benchmark:
        f"{R}/benchmarks/insilico/rest-{{subject}}.tsv"
