"""Paths of all results of a data set; every path is written here, once.

Takes the folder of the results; returns paths as plain strings. Rules omit the wildcards,
`layout.windows()`, and get the pattern `.../sub-{subject}/windows.parquet`. With a label,
`layout.windows("01")`, the result is one file. A folder that one step writes as a whole (a model, a shard) is
opaque, except for the tables that the report reads. Standard library only: thousands of jobs import it.
"""

from __future__ import annotations

from pathlib import Path


class Layout:
    """Paths of the results, training states and logs of one data set.

    Parameters
    ----------
    root : folder of the results, `results/{dataset}`.
    state : folder of the training states; by default `state/{dataset}`.
    logs : folder of the logs; by default `logs/{dataset}`.

    Notes
    -----
    Arguments are labels without "sub-" or "task-". The default of each is its wildcard in the workflow, so a
    method without arguments returns the pattern of a rule.
    """

    SPACE = "space-MNI152NLin2009aSym"  # of what the embedded engine preprocesses

    def __init__(self, root: str, state: str | None = None, logs: str | None = None) -> None:
        self.root = str(root)
        dataset = self.root.rstrip("/").rsplit("/", 1)[-1]
        self.states = str(state or f"state/{dataset}")
        self.logs = str(logs or f"logs/{dataset}")

    # What every stage has

    def log(self, stage: str, name: str) -> str:
        """What a job printed."""
        return f"{self.logs}/{stage}/{name}.log"

    def benchmarks(self) -> str:
        """Folder of the seconds and megabytes of all jobs."""
        return f"{self.root}/benchmarks"

    def benchmark(self, stage: str, name: str) -> str:
        """Seconds and megabytes of a job."""
        return f"{self.root}/benchmarks/{stage}/{name}.tsv"

    def state(self, stage: str, name: str = "") -> str:
        """Folder from which a stopped training or a long job resumes."""
        return f"{self.states}/{stage}/{name}" if name else f"{self.states}/{stage}"

    def resolved_configuration(self) -> str:
        """Every value of the configuration of the last run, and where it comes from."""
        return f"{self.root}/config.resolved.yaml"

    def forgotten(self) -> str:
        """Table of the subjects who took back their consent."""
        return f"{self.root}/forgotten.tsv"

    # 0 insilico: the demo's data set, and its truth

    def bids(self) -> str:
        """The simulated raw data set."""
        return f"{self.root}/bids"

    def bids_document(self, name: str) -> str:
        """A file that describes the simulated data set as a whole."""
        return f"{self.root}/bids/{name}"

    def simulated_movie(self, segment: str = "{segment}") -> str:
        """The drawn movie of a segment."""
        return f"{self.root}/bids/stimuli/{segment}.mp4"

    def simulated_shots(self, segment: str = "{segment}") -> str:
        """Table of what is seen in each shot of a drawn movie."""
        return f"{self.root}/bids/stimuli/{segment}.tsv"

    def simulated_t1w(self, subject: str = "{subject}") -> str:
        """T1w image of a simulated subject."""
        return f"{self.root}/bids/sub-{subject}/anat/sub-{subject}_T1w.nii.gz"

    def simulated_t1w_sidecar(self, subject: str = "{subject}") -> str:
        """JSON next to the T1w image of a simulated subject."""
        return f"{self.root}/bids/sub-{subject}/anat/sub-{subject}_T1w.json"

    def simulated_runs(self, subject: str = "{subject}") -> str:
        """What names of a simulated subject's functional files begin with, up to the task."""
        return f"{self.root}/bids/sub-{subject}/func/sub-{subject}_"

    def true_drive(self) -> str:
        """Folder of the time courses that drive the simulated cortex."""
        return f"{self.root}/truth/drive"

    def true_runs(self, subject: str = "{subject}") -> str:
        """What names of files about a simulated subject's runs begin with, up to the task."""
        return f"{self.root}/truth/sub-{subject}/"

    def true_anatomy(self, subject: str = "{subject}") -> str:
        """The truth about a simulated head."""
        return f"{self.root}/truth/sub-{subject}/anatomy.json"

    def true_encoding(self, subject: str = "{subject}") -> str:
        """Weights, explainable variance and area of every place of a simulated cortex."""
        return f"{self.root}/truth/sub-{subject}/encoding.npz"

    def true_epi(self, subject: str = "{subject}") -> str:
        """What a simulated head looks like in BOLD when it keeps still."""
        return f"{self.root}/truth/sub-{subject}/epi.npz"

    # 1 stimuli

    def frames(self, batch: str = "{batch}") -> str:
        """Frames of a movie, or of a batch of movies, at the rate and size of the model."""
        return f"{self.root}/stimuli/{batch}/frames.npy"

    def frames_sidecar(self, batch: str = "{batch}") -> str:
        """JSON next to these frames."""
        return f"{self.root}/stimuli/{batch}/frames.json"

    def shots(self, batch: str = "{batch}") -> str:
        """Table of the shots of a movie or batch."""
        return f"{self.root}/stimuli/{batch}/shots.tsv"

    def features(self, batch: str = "{batch}") -> str:
        """Folder of the features of a movie or batch by frozen base models."""
        return f"{self.root}/stimuli/{batch}/features"

    def clips(self) -> str:
        """Table of the clips of all movies."""
        return f"{self.root}/clips.parquet"

    # 2 bold

    def derivatives(self, pipeline: str = "embedded") -> str:
        """Folder of what a pipeline preprocessed, named as fMRIPrep does."""
        return f"{self.root}/derivatives/{pipeline}"

    def preprocessed_anatomy(self, ending: str, subject: str = "{subject}") -> str:
        """An anatomical derivative by the embedded engine, from the end of its name."""
        return f"{self.root}/derivatives/embedded/sub-{subject}/anat/sub-{subject}_{ending}"

    def preprocessed_run(
        self,
        ending: str,
        subject: str = "{subject}",
        segment: str = "{segment}",
        repeat: int | str = "{repeat}",
    ) -> str:
        """A functional derivative by the embedded engine, from the end of its name."""
        return (
            f"{self.root}/derivatives/embedded/sub-{subject}/func/"
            f"sub-{subject}_task-{segment}_run-{repeat}_{ending}"
        )

    def preprocessed_bold(
        self,
        subject: str = "{subject}",
        segment: str = "{segment}",
        repeat: int | str = "{repeat}",
    ) -> str:
        """BOLD of a run by the embedded engine, in the template's space."""
        ending = f"{self.SPACE}_desc-preproc_bold.nii"
        return self.preprocessed_run(ending, subject, segment, repeat)

    def presentations(self, subject: str = "{subject}") -> str:
        """Table of what a subject's runs showed, when and for which split."""
        return f"{self.root}/sub-{subject}/presentations.tsv"

    def overlaps(self) -> str:
        """What several splits show; there only if something is."""
        return f"{self.root}/overlaps.json"

    def checked(self, subject: str = "{subject}") -> str:
        """What the check of a subject's raw data found."""
        return f"{self.root}/sub-{subject}/checked.json"

    def run_table(self, subject: str = "{subject}") -> str:
        """Table of the paths of a subject's runs that were preprocessed elsewhere."""
        return f"{self.root}/sub-{subject}/bold.tsv"

    def quality(self, subject: str = "{subject}") -> str:
        """Table of the quality of a subject's runs."""
        return f"{self.root}/sub-{subject}/qc.tsv"

    def quality_page(self, subject: str = "{subject}") -> str:
        """Page to look through a subject's runs."""
        return f"{self.root}/sub-{subject}/qc.html"

    def quality_figures(self, subject: str = "{subject}") -> str:
        """Folder of the figures on that page."""
        return f"{self.root}/sub-{subject}/figures"

    def twins(self) -> str:
        """Runs of different subjects that hold the same data: none."""
        return f"{self.root}/twins.json"

    # 3 roi

    def positions(self) -> str:
        """Table of the atlas' positions, the same for everybody."""
        return f"{self.root}/atlas/positions.parquet"

    def control_positions(self) -> str:
        """Table of positions where nothing visual is expected."""
        return f"{self.root}/atlas/control.parquet"

    def series(
        self,
        subject: str = "{subject}",
        segment: str = "{segment}",
        repeat: int | str = "{repeat}",
    ) -> str:
        """Cleaned series of a run at the atlas' positions."""
        return f"{self.root}/sub-{subject}/series/task-{segment}_run-{repeat}.npy"

    def series_sidecar(
        self,
        subject: str = "{subject}",
        segment: str = "{segment}",
        repeat: int | str = "{repeat}",
    ) -> str:
        """JSON next to the cleaned series of a run."""
        return f"{self.root}/sub-{subject}/series/task-{segment}_run-{repeat}.json"

    def control_series(self, subject: str = "{subject}") -> str:
        """Folder of a subject's series where nothing visual is expected."""
        return f"{self.root}/sub-{subject}/roi/control"

    def voxels(self, subject: str = "{subject}") -> str:
        """Table of a subject's voxels: present, reliable, selected."""
        return f"{self.root}/sub-{subject}/roi/voxels.parquet"

    # 4 windows

    def hrf(self, subject: str = "{subject}") -> str:
        """Table of the haemodynamic response of each area."""
        return f"{self.root}/sub-{subject}/hrf.tsv"

    def activity(
        self,
        subject: str = "{subject}",
        segment: str = "{segment}",
        repeat: int | str = "{repeat}",
    ) -> str:
        """Deconvolved series of a run."""
        return f"{self.root}/sub-{subject}/activity/task-{segment}_run-{repeat}.npy"

    def activity_sidecar(
        self,
        subject: str = "{subject}",
        segment: str = "{segment}",
        repeat: int | str = "{repeat}",
    ) -> str:
        """JSON next to the deconvolved series of a run."""
        return f"{self.root}/sub-{subject}/activity/task-{segment}_run-{repeat}.json"

    def sweep(self, subject: str = "{subject}") -> str:
        """Table of scores by lag and window."""
        return f"{self.root}/sub-{subject}/sweep.tsv"

    def choice(self, subject: str = "{subject}") -> str:
        """The lag and the window that were chosen."""
        return f"{self.root}/sub-{subject}/choice.json"

    def windows(self, subject: str = "{subject}") -> str:
        """Table of which volumes answer which clip, and of its split."""
        return f"{self.root}/sub-{subject}/windows.parquet"

    def noise_ceiling(self, subject: str = "{subject}") -> str:
        """Table of the noise ceiling of every voxel."""
        return f"{self.root}/sub-{subject}/noise_ceiling.parquet"

    def intersubject(self) -> str:
        """Table of how well others' responses predict each subject's."""
        return f"{self.root}/intersubject.parquet"

    def audit(self) -> str:
        """What of the test could have leaked into training."""
        return f"{self.root}/audit.json"

    # 5 pretrain

    def corpus(self) -> str:
        """Folder of the pretraining cohort's series, in shards."""
        return f"{self.root}/corpus"

    def noise(self, cohort: str = "{cohort}") -> str:
        """Folder of the cohort's noise model."""
        return f"{self.root}/noise/{cohort}"

    def pretrained(self, cohort: str = "{cohort}") -> str:
        """Folder of the masked autoencoder, with its history and scores."""
        return f"{self.root}/pretrain/{cohort}"

    def pretraining_history(self, cohort: str = "{cohort}") -> str:
        """Losses of the pretraining by epoch."""
        return f"{self.root}/pretrain/{cohort}/history.tsv"

    def pretraining_scores(self, cohort: str = "{cohort}") -> str:
        """Table of how well hidden patches were predicted."""
        return f"{self.root}/pretrain/{cohort}/scores.tsv"

    def masked_example(self, cohort: str = "{cohort}") -> str:
        """Table of a volume with hidden patches and what was predicted of it."""
        return f"{self.root}/pretrain/{cohort}/example.parquet"

    # 6 align

    def pooled_encoder(self, pool: str = "{pool}") -> str:
        """Folder of the encoder that several subjects share."""
        return f"{self.root}/align/{pool}"

    def encoder(self, subject: str = "{subject}") -> str:
        """Folder of a subject's encoder."""
        return f"{self.root}/sub-{subject}/align/model"

    def left_out(self, subject: str = "{subject}") -> str:
        """Predictions of training clips by an encoder whose linear path did not see their segment."""
        return f"{self.root}/sub-{subject}/align/left_out.npy"

    def sketch_decoder(self, subject: str = "{subject}") -> str:
        """Folder of a subject's decoder of sketches."""
        return f"{self.root}/sub-{subject}/align/sketch"

    def sketch_left_out(self, subject: str = "{subject}") -> str:
        """Its predictions of training clips whose segment it did not see."""
        return f"{self.root}/sub-{subject}/align/sketch_left_out.npy"

    def attributes(self, subject: str = "{subject}") -> str:
        """Table of how well attributes are read from the encoder's predictions and from responses."""
        return f"{self.root}/sub-{subject}/align/attributes.tsv"

    def ridge(self, subject: str = "{subject}") -> str:
        """Folder of the ridge regression next to a subject's encoder."""
        return f"{self.root}/sub-{subject}/align/ridge"

    def alignment_history(self, subject: str = "{subject}") -> str:
        """Losses of the training of a subject's encoder by epoch."""
        return f"{self.root}/sub-{subject}/align/history.tsv"

    def retrieval(self, subject: str = "{subject}") -> str:
        """Table of retrieval of test clips."""
        return f"{self.root}/sub-{subject}/align/retrieval.tsv"

    def test_predictions(self, subject: str = "{subject}") -> str:
        """Folder of what the encoder makes of the test windows."""
        return f"{self.root}/sub-{subject}/align/test"

    def repeats(self, subject: str = "{subject}") -> str:
        """Table of retrieval by number of averaged repeats."""
        return f"{self.root}/sub-{subject}/align/repeats.tsv"

    def rois(self, subject: str = "{subject}") -> str:
        """Table of retrieval by group of areas."""
        return f"{self.root}/sub-{subject}/align/rois.tsv"

    def scaling(self, subject: str = "{subject}") -> str:
        """Table of retrieval by minutes of training data."""
        return f"{self.root}/sub-{subject}/align/scaling.tsv"

    def attention(self, subject: str = "{subject}") -> str:
        """Table of the attention that each position gets."""
        return f"{self.root}/sub-{subject}/align/attention.parquet"

    def attention_regions(self, subject: str = "{subject}") -> str:
        """Table of the attention that each area gets."""
        return f"{self.root}/sub-{subject}/align/attention.tsv"

    def other_subject(self) -> str:
        """Table of retrieval from another subject's responses."""
        return f"{self.root}/group/other_subject.tsv"

    def zero_shot(self) -> str:
        """Table of retrieval by what was fitted on other subjects alone."""
        return f"{self.root}/group/zero_shot.tsv"

    # ablate

    def shuffled_pretrained(self) -> str:
        """Folder of the masked autoencoder of voxels in a random order."""
        return f"{self.root}/ablation/pretrained-shuffled"

    def ablated(
        self,
        subject: str = "{subject}",
        ablation: str = "{ablation}",
        seed: int | str = "{seed}",
    ) -> str:
        """Table of the test clips' scores by an encoder without one part."""
        return f"{self.root}/ablation/sub-{subject}/{ablation}-{seed}.parquet"

    def ablation(self) -> str:
        """Table of what each part of the encoder is worth."""
        return f"{self.root}/group/ablation.tsv"

    def minutes(self, subject: str = "{subject}") -> str:
        """Table of retrieval by minutes of a new subject's data, with the others' encoder and without."""
        return f"{self.root}/sub-{subject}/align/minutes.tsv"

    # 7 generator

    def latents(self, batch: str = "{batch}") -> str:
        """Latents of the frames of a training movie or batch."""
        return f"{self.root}/generator/latents/{batch}.npy"

    def latents_sidecar(self, batch: str = "{batch}") -> str:
        """JSON next to these latents."""
        return f"{self.root}/generator/latents/{batch}.json"

    def generator(self) -> str:
        """Folder of the tuned video model."""
        return f"{self.root}/generator/model"

    def generator_history(self) -> str:
        """Losses of the generator's tuning by epoch."""
        return f"{self.root}/generator/history.tsv"

    def generator_strip(self) -> str:
        """Picture of the generator's last samples."""
        return f"{self.root}/generator/strip.png"

    def generator_strips(self) -> str:
        """Folder of pictures of its samples, one for each validation."""
        return f"{self.root}/generator/strips"

    def cotrained(self, subject: str = "{subject}") -> str:
        """Folder of the encoder and the generator that were tuned together."""
        return f"{self.root}/sub-{subject}/cotrain"

    def cotraining_history(self, subject: str = "{subject}") -> str:
        """Losses of the co-training by epoch."""
        return f"{self.root}/sub-{subject}/cotrain/history.tsv"

    # 8 reconstruct

    def conditions(self, subject: str = "{subject}") -> str:
        """Folder of what the co-trained encoder makes of the test windows, and of what stands in for them."""
        return f"{self.root}/sub-{subject}/conditions"

    def reconstructions(self, subject: str = "{subject}", method: str = "{method}") -> str:
        """Folder of all shards of a subject's reconstructed clips."""
        return f"{self.root}/sub-{subject}/reconstruction/{method}"

    def reconstruction(
        self,
        subject: str = "{subject}",
        method: str = "{method}",
        shard: int | str = "{shard}",
    ) -> str:
        """Folder of one shard of a subject's reconstructed clips."""
        return f"{self.root}/sub-{subject}/reconstruction/{method}/shard-{shard}"

    def movie_cuts(
        self,
        subject: str = "{subject}",
        method: str = "{method}",
        shard: int | str = "{shard}",
    ) -> str:
        """Table of the cuts in a shard's continuous movies, where clips follow on each other."""
        return f"{self.root}/sub-{subject}/reconstruction/{method}/shard-{shard}/movie/cuts.tsv"

    def control(self, subject: str = "{subject}", control: str = "{control}") -> str:
        """Folder of clips that were not made of the subject's responses, or from another seed."""
        return f"{self.root}/sub-{subject}/reconstruction/control-{control}"

    def method_control(
        self,
        subject: str = "{subject}",
        method: str = "{method}",
        control: str = "{control}",
    ) -> str:
        """The same of another method."""
        return f"{self.root}/sub-{subject}/reconstruction/{method}/control-{control}"

    def upper_bounds(self) -> str:
        """Folder of all shards of the test clips by the generator from their true captions."""
        return f"{self.root}/reconstruction/true_features"

    def upper_bound(self, shard: int | str = "{shard}") -> str:
        """Folder of one shard of the test clips by the generator from their true captions."""
        return f"{self.root}/reconstruction/true_features/shard-{shard}"

    # the other methods

    def method_videos(self, method: str = "{method}") -> str:
        """Folder of clips from movies that were shown to no subject."""
        return f"{self.root}/methods/{method}/videos"

    def method_fit(self, subject: str = "{subject}", method: str = "{method}") -> str:
        """Folder of what another method fitted to a subject."""
        return f"{self.root}/sub-{subject}/methods/{method}/fit"

    # 9 evaluate

    def reference(self) -> str:
        """Folder of what the judges see in the truth, the upper bound and training clips."""
        return f"{self.root}/evaluation/reference"

    def readings(self, subject: str = "{subject}", shard: int | str = "{shard}") -> str:
        """Folder of what the judges see in one shard."""
        return f"{self.root}/sub-{subject}/evaluation/shard-{shard}"

    def clip_scores(self, subject: str = "{subject}") -> str:
        """Table of the scores of each of a subject's test clips."""
        return f"{self.root}/sub-{subject}/metrics.parquet"

    def scores(self, subject: str = "{subject}") -> str:
        """Table of a subject's scores over clips."""
        return f"{self.root}/sub-{subject}/scores.tsv"

    def nearest(self, subject: str = "{subject}") -> str:
        """Table of the training clip whose responses are nearest to each test clip's."""
        return f"{self.root}/sub-{subject}/nearest.tsv"

    def method_clip_scores(self, subject: str = "{subject}", method: str = "{method}") -> str:
        """Table of the scores of each test clip by another method."""
        return f"{self.root}/sub-{subject}/methods/{method}/metrics.parquet"

    def method_scores(self, subject: str = "{subject}", method: str = "{method}") -> str:
        """Table of another method's scores over clips."""
        return f"{self.root}/sub-{subject}/methods/{method}/scores.tsv"

    def between(self, subject: str = "{subject}") -> str:
        """Table of the methods' differences, clip by clip."""
        return f"{self.root}/sub-{subject}/between.tsv"

    def metrics(self) -> str:
        """Table of all subjects' scores."""
        return f"{self.root}/group/metrics.tsv"

    # 10 report

    def figures(self) -> str:
        """Folder of the group's figures."""
        return f"{self.root}/group/figures"

    def page(self) -> str:
        """The page about everything."""
        return f"{self.root}/report.html"

    # and back

    def below(self, path: Path | str) -> str:
        """A path as it is named below the root."""
        return str(Path(path).relative_to(self.root))

    def find(self, pattern: str) -> list[str]:
        """Paths that are there, sorted, of a pattern of this layout with `*` in place of a label."""
        found = map(self.below, sorted(Path(self.root).glob(self.below(pattern))))
        # what steps have not finished is hidden
        return [f"{self.root}/{path}" for path in found if "/." not in f"/{path}"]

    def subject_of(self, path: Path | str) -> str:
        """The label of the subject in whose folder a path is."""
        return self.below(path).split("/")[0].removeprefix("sub-")


def with_noise(predictions: str) -> list[str]:
    """Files of left-out predictions (`data.left_out`), the predictions first."""
    stem = predictions.removesuffix(".npy")
    return [f"{stem}{end}" for end in (".npy", ".json", "_noise.npy", "_noise.json")]
