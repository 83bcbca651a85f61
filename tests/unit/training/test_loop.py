"""The training loop: resumption to bit-equality, best weights, NaN, one process at a time."""

import contextlib
import os
import signal
import threading

import pytest
import torch
from torch import nn

from boldreel.errors import UserError
from boldreel.step import Stopped
from boldreel.training import loop
from boldreel.training.optimizer import cosine
from boldreel.training.state import State, discard

STEPS, EPOCHS = 4, 3


def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 1))


def batches(epoch, generator):
    for _ in range(STEPS):
        x = torch.randn(5, 3, generator=generator)
        yield x, x.sum(1, keepdim=True)


def loss_fn(module, batch, generator):
    x, y = batch
    noisy = x + 0.1 * torch.randn(x.shape, generator=generator)
    loss = nn.functional.mse_loss(module(noisy), y)
    return loss, {"mae": float((module(x) - y).detach().abs().mean())}


def fit(module, folder, loss=loss_fn, epochs=EPOCHS, **more):
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    return loop.fit(
        module,
        loss,
        batches,
        epochs=epochs,
        steps_per_epoch=STEPS,
        optimizer=optimizer,
        schedule=cosine(STEPS * EPOCHS, 2),
        seed=7,
        state_dir=folder,
        **more,
    )


def validate(module):
    x = torch.linspace(-1, 1, 12).reshape(4, 3)
    return {"val_loss": float(nn.functional.mse_loss(module(x), x.sum(1, keepdim=True)))}


class Counting:
    """The loss, counting how often it is asked for; at call `at` it goes through `then`."""

    def __init__(self, at=0, then=None):
        self.calls, self.at, self.then = 0, at, then

    def __call__(self, module, batch, generator):
        self.calls += 1
        loss, numbers = loss_fn(module, batch, generator)
        return (self.then(loss) if self.calls == self.at else loss), numbers


def same(a, b):
    theirs = b.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in a.state_dict().items())


@pytest.mark.parametrize("stop_at", [1, 4, 6, 11])
@pytest.mark.parametrize("ema", [None, 0.9])
def test_stopped_by_sigterm_and_resumed_is_bit_equal(tmp_path, stop_at, ema):
    whole = make()
    history = fit(whole, tmp_path / "whole", validate=validate, ema=ema)

    def terminate(loss):
        os.kill(os.getpid(), signal.SIGTERM)
        return loss

    stopping = Counting(stop_at, terminate)
    with pytest.raises(Stopped):
        fit(make(), tmp_path / "parts", loss=stopping, validate=validate, ema=ema)
    resumed, rest = make(), Counting()
    assert fit(resumed, tmp_path / "parts", loss=rest, validate=validate, ema=ema) == history
    assert same(whole, resumed)
    assert rest.calls == STEPS * EPOCHS - stop_at, "it went on, and did not begin again"


def test_sigterm_saves_though_nobody_reads_the_log_any_more(tmp_path, monkeypatch):
    """A signal to the job's whole group ends `tee` too: what is printed then breaks a pipe."""
    reader, writer = os.pipe()
    stream = os.fdopen(writer, "w")
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(loop.Progress, "__init__", _always_printing(loop.Progress.__init__))

    def terminate(loss):
        os.close(reader)
        os.kill(os.getpid(), signal.SIGTERM)
        return loss

    with pytest.raises(Stopped):
        fit(make(), tmp_path / "parts", loss=Counting(3, terminate))
    monkeypatch.undo()
    with contextlib.suppress(BrokenPipeError):
        stream.close()
    with State(tmp_path / "parts") as disk:
        assert (disk.load("last")["epoch"], disk.load("last")["step"]) == (0, 3)


def _always_printing(real):
    return lambda self, *arguments, **more: real(self, *arguments, **{**more, "every": 0.0})


def test_killed_without_warning_goes_on_from_the_last_save(tmp_path):
    whole = make()
    fit(whole, tmp_path / "whole")

    class Kill(BaseException):
        pass

    def die(loss):
        raise Kill

    with pytest.raises(Kill):
        fit(make(), tmp_path / "parts", loss=Counting(7, die))
    resumed, rest = make(), Counting()
    fit(resumed, tmp_path / "parts", loss=rest)
    assert same(whole, resumed)
    assert rest.calls == STEPS * EPOCHS - 6 // STEPS * STEPS, "it went on from the last whole epoch"


def test_longer_training_goes_on_from_a_shorter_one(tmp_path):
    module = make()
    fit(module, tmp_path, epochs=2)
    rest = Counting()
    history = fit(module, tmp_path, epochs=3, loss=rest)
    assert [row["epoch"] for row in history] == [0, 1, 2, 3]
    assert rest.calls == STEPS


def test_shorter_training_does_not_take_a_longer_one_for_its_own(tmp_path, capsys):
    """Fewer epochs than the state has: what comes out is what a training of that length gives."""
    longer, shorter, own = make(), make(), make()
    fit(longer, tmp_path / "state", epochs=3)
    history = fit(shorter, tmp_path / "state", epochs=2)
    assert history == fit(own, tmp_path / "own", epochs=2)
    assert same(shorter, own) and not same(shorter, longer)
    assert "starting again" in capsys.readouterr().err


def test_best_state_counts_the_starting_point(tmp_path):
    module = make()
    start = {name: value.clone() for name, value in module.state_dict().items()}
    seen = iter([0.0, 1.0, 2.0, 3.0])
    fit(module, tmp_path, validate=lambda _: {"val_loss": next(seen)})
    assert all(torch.equal(value, start[name]) for name, value in module.state_dict().items())


def test_nan_stops_with_the_last_good_state(tmp_path):
    failing = Counting(6, lambda loss: loss * float("nan"))
    with pytest.raises(UserError, match="epoch 1, step 1"):
        fit(make(), tmp_path, loss=failing)
    state = State(tmp_path)
    saved = state.load("last")
    assert (saved["epoch"], saved["step"]) == (1, 1)
    assert all(torch.isfinite(value).all() for value in saved["module"].values())


def test_broken_weights_are_not_taken_for_a_good_state(tmp_path):
    """A finite loss whose gradients are not: the next loss tells, and the weights are spoilt by then."""
    breaking = Counting(6, lambda loss: loss + torch.sqrt(0.0 * loss))  # gradient of a root at 0
    with pytest.raises(UserError, match="last good"):
        fit(make(), tmp_path, loss=breaking)
    saved = State(tmp_path).load("last")
    assert (saved["epoch"], saved["step"]) == (1, 0)
    assert all(torch.isfinite(value).all() for value in saved["module"].values())


def test_second_process_is_refused(tmp_path):
    with State(tmp_path), pytest.raises(UserError, match="another process"), State(tmp_path):
        pass


def test_a_pickle_is_not_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    torch.save({"x": Evil()}, tmp_path / "last.pt")
    with pytest.raises(UserError, match="unreadable training state"):
        State(tmp_path).load("last")
    assert not (tmp_path / "executed").exists()


def test_signal_handler_is_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    fit(make(), tmp_path, epochs=1)
    assert signal.getsignal(signal.SIGTERM) is before
    assert threading.current_thread() is threading.main_thread()


def test_cosine_schedule():
    factor = cosine(100, 10)
    assert factor(0) == pytest.approx(1 / 11)
    assert factor(10) == pytest.approx(1.0)
    assert factor(100) == pytest.approx(0.0)
    assert all(factor(k) >= factor(k + 1) for k in range(10, 100))


class Partly(nn.Module):
    """A frozen layer and a large buffer next to what is trained, and running means."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.frozen = nn.Linear(3, 8).requires_grad_(False)
        self.register_buffer("bank", torch.randn(40000, 8))
        self.norm, self.head = nn.BatchNorm1d(8), nn.Linear(8, 1)

    def forward(self, x):
        return self.head(self.norm(self.frozen(x)) + self.bank.mean(0))


def test_only_what_training_changes_is_saved_and_resumes_bit_equal(tmp_path):
    whole = Partly()
    history = fit(whole, tmp_path / "whole", validate=validate)

    def terminate(loss):
        os.kill(os.getpid(), signal.SIGTERM)
        return loss

    with pytest.raises(Stopped):
        fit(Partly(), tmp_path / "parts", loss=Counting(6, terminate), validate=validate)
    changed = {"head.weight", "head.bias", "norm.weight", "norm.bias"}
    running = {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
    with State(tmp_path / "parts") as disk:
        assert disk.load("last")["module"].keys() == changed | running
        assert disk.load("best")["module"].keys() <= changed | running
    resumed = Partly()
    assert fit(resumed, tmp_path / "parts", validate=validate) == history
    assert same(whole, resumed)


def test_a_state_that_takes_long_to_save_is_not_saved_at_every_epoch(tmp_path, monkeypatch):
    """And a kill between two saves costs time alone: the best weights on disk are of the state on disk."""
    whole = make()
    fit(whole, tmp_path / "whole", validate=validate)
    real, names = State.save, []

    def slow(self, name, state):
        real(self, name, state)
        names.append((name, state.get("epoch")))
        self.seconds += 1.0

    monkeypatch.setattr(State, "save", slow)

    def die(loss):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(make(), tmp_path / "parts", loss=Counting(11, die), validate=validate)
    assert names == [("best", None), ("last", 0)]
    resumed = make()
    fit(resumed, tmp_path / "parts", validate=validate)
    assert same(whole, resumed)
    # a process learns from its first save how long one takes; the end is saved in any case
    assert [pair for pair in names[2:] if pair[0] == "last"] == [("last", 1), ("last", EPOCHS)]


def test_the_cost_of_saving_is_told(tmp_path, capsys):
    progress, disk = loop.Progress(4, "training"), State(tmp_path)
    disk.save("last", {"x": torch.zeros(500_000)})
    progress.update(4)
    progress._start -= 10
    disk.seconds = 2.5
    progress.close(1.0, disk)
    told = capsys.readouterr().err
    assert "10.0% of it waiting for data and 25.0% saving its state (1 times, 0.002 GB)" in told


def test_what_a_step_has_written_needs_no_state(tmp_path):
    fit(make(), tmp_path / "state" / "one", epochs=1)
    fit(make(), tmp_path / "state" / "other", epochs=1)
    discard(tmp_path / "state" / "one")
    discard(tmp_path / "state" / "never")
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["other"]
