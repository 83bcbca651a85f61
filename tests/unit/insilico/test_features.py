from __future__ import annotations

import numpy as np

from boldreel.insilico import features, world
from boldreel.insilico.features import BLOCKS, GRID, LABELS, PLACES


def block(values, name):
    number = list(BLOCKS).index(name)
    names = list(BLOCKS)[: list(BLOCKS).index("object")]
    if name not in names:
        first = sum(BLOCKS[other].size for other in names)
        rows = features.block_of_feature()[first:]
    else:
        rows = features.block_of_feature()[: len(values)]
    return values[rows == number]


def test_contrast_is_seen_where_it_is():
    frames = np.full((4, 64, 64, 3), 128, np.uint8)
    frames[:, :16, 48::2] = 255
    contrast = block(features.seen(frames), "contrast")[:, 0].reshape(GRID, GRID)
    assert contrast[0, -1] > 0.2
    assert contrast[-1].max() < 1e-3
    assert contrast[:, 0].max() < 1e-3


def test_opponent_channels_tell_red_from_green():
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    frames[..., 0] = 255
    red = block(features.seen(frames), "opponent")[:, 0]
    frames = frames[..., [1, 0, 2]]
    green = block(features.seen(frames), "opponent")[:, 0]
    assert (red[: GRID**2] > 0.9).all()
    assert (green[: GRID**2] < -0.9).all()


def test_orientation_energy_tells_upright_from_flat():
    stripes = np.zeros((2, 64, 64, 3), np.uint8)
    stripes[:, :, (np.arange(64) // 4) % 2 == 0] = 255
    energy = block(features.seen(stripes), "orientation")[:, 0].reshape(4, -1).mean(1)
    assert energy.argmax() == 0
    assert energy[2] < 1e-3
    turned = stripes.transpose(0, 2, 1, 3)
    assert block(features.seen(turned), "orientation")[:, 0].reshape(4, -1).mean(1).argmax() == 2


def test_position_follows_the_object():
    rng = np.random.default_rng(2)
    scene = world.Scene("ball", "red", "grass", "right", "small")
    frames = world.render_shot(scene, 16, features.FRAME_RATE, rng)
    where = block(features.seen(frames), "position")
    column = where.reshape(PLACES, PLACES, -1).sum(0)
    centre = (np.arange(PLACES) @ column) / column.sum(0)
    assert np.diff(centre).mean() > 0.05
    assert (np.diff(centre) > -0.02).all()


def test_labels_hold_while_the_shot_lasts():
    row = dict(onset=1, duration=2, shot="m-s000", object="box", colour="red", background="fur")
    rows = [{**row, "motion": "up", "size": "large"}]
    values = features.named(rows, "m", 10, 5)
    shown = block(values, "object")[LABELS["object"].index("box")]
    assert shown.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    assert block(values, "object").sum() == block(values, "object_background").sum() == 4
    latent = block(values, "nuisance_ventral")
    assert latent[:, 2].std() > 0.1
    assert (latent[:, 2] == latent[:, 5]).all()
    assert (features.named(rows, "m", 10, 5) == values).all()
    assert (block(features.named(rows, "m", 10, 6), "nuisance_ventral") != latent).any()
