"""How much memory a training step of the spatiotemporal encoder takes, and how many clips fit at a time.

Takes the encoder's sizes; returns bytes and numbers of clips. Counted is what autograd keeps of each layer
in `boldreel.models.layers` and `boldreel.models.trunk`; a test compares it with what really is kept.
Attention is of the kind that never holds its weights (Dao et al. 2022, arXiv 2205.14135).
"""

from __future__ import annotations

from dataclasses import dataclass

from boldreel.models.encoder import SpatioTemporalEncoderConfig

_FLOAT = 4
# Share of the free memory that is planned with: the rest is for fragments and the libraries' own buffers.
_USED = 0.85


@dataclass(frozen=True)
class StepMemory:
    """A training step of an encoder that computes in numbers of `compute` bytes (2 under autocast).

    checkpointing : whether blocks are computed again for the gradient.
    """

    config: SpatioTemporalEncoderConfig
    compute: int = 4
    checkpointing: bool = False

    @property
    def tokens(self) -> int:
        """Tokens of a clip."""
        return self.config.window * self.config.num_voxels // self.config.patch_size

    @property
    def block(self) -> int:
        """Bytes that autograd keeps of one block for one clip."""
        width = self.config.embed_dim
        hidden = int(width * self.config.mlp_ratio)
        attentions = 2 if self.config.window_attention else 1
        # of each attention the stream that is normed, what is projected, queries, keys, values, result twice
        # (as it comes and laid out for the projection); of the MLP the stream, and the inputs of three layers
        per_token = attentions * (_FLOAT + 6 * self.compute) * width
        per_token += (_FLOAT + self.compute) * width + 2 * self.compute * hidden
        return self.tokens * per_token

    @property
    def clip(self) -> int:
        """Bytes that the transformer keeps of one clip, at the height of the backward pass."""
        config, width = self.config, self.config.embed_dim
        heads = (
            _FLOAT * width + 3 * self.compute * width
        )  # the last norm; each head reads the tokens
        kept = self.tokens * heads + _FLOAT * self.tokens * config.patch_size
        if not self.checkpointing:
            return kept + config.depth * self.block
        return kept + config.depth * _FLOAT * self.tokens * width + self.block

    @property
    def backward(self) -> int:
        """Bytes of gradients inside a block for one clip, while it is under way."""
        width = self.config.embed_dim
        hidden = int(width * self.config.mlp_ratio)
        return self.tokens * (2 * _FLOAT * width + 2 * self.compute * max(width, hidden))

    @property
    def outputs(self) -> int:
        """Bytes that the whole batch keeps of one clip: its window, what is predicted, and its gradient."""
        config = self.config
        predicted = config.tokens * config.token_width + config.image_dim + config.text_dim
        window = config.window * config.num_voxels
        return _FLOAT * (window + 8 * predicted)  # scaled, normalised and compared

    def standing(self, trained: int, frozen: int) -> int:
        """Bytes of weights, gradients and AdamW for so many parameters, whatever the batch."""
        halves = self.compute if self.compute < _FLOAT else 0  # autocast's copies of the weights
        return trained * (4 * _FLOAT + halves) + frozen * (_FLOAT + halves)

    def total(self, batch: int, at_a_time: int, trained: int, frozen: int) -> int:
        """Bytes of a step with a batch of which so many clips go through the transformer at a time."""
        now = at_a_time * (self.clip + self.backward)
        return self.standing(trained, frozen) + batch * self.outputs + now

    def fitting(self, batch: int, free: float, trained: int, frozen: int) -> int:
        """Clips that fit at a time in so many free bytes: at least 1, and parts of nearly equal size."""
        left = _USED * free - self.total(batch, 0, trained, frozen)
        most = max(1, min(batch, int(left // (self.clip + self.backward))))
        parts = -(-batch // most)
        return -(-batch // parts)
