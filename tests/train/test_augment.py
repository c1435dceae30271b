import torch

from train.augment import alternating_flips, augment, cut_mix, cut_out


def numbered(count: int = 64, side: int = 6) -> torch.Tensor:
    """Pictures whose pixels hold their own row and column."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    picture = torch.stack([rows, columns, torch.zeros_like(rows)], dim=2)
    return picture.to(torch.uint8).expand(count, -1, -1, -1)


def test_without_shift_or_flip_nothing_changes() -> None:
    images = numbered()
    out = augment(images, torch.zeros(64, dtype=torch.bool), 0, torch.Generator())
    assert torch.equal(out, images)


def test_flip_mirrors_only_those_chosen() -> None:
    images = numbered(2)
    out = augment(images, torch.tensor([True, False]), 0, torch.Generator())
    assert torch.equal(out[0], images[0].flip(1))
    assert torch.equal(out[1], images[1])


def test_shifts_cover_the_whole_range_and_no_more() -> None:
    out = augment(numbered(), torch.zeros(64, dtype=torch.bool), 2, torch.Generator().manual_seed(0))
    shifts = {int(picture[3, 0, 0]) - 3 for picture in out}
    assert shifts == {-2, -1, 0, 1, 2}


def test_edges_are_reflected() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = augment(numbered(), torch.zeros(64, dtype=torch.bool), 2, generator)[:, :, 0, 0].tolist()
    assert set(map(tuple, rows)) == {
        (2, 1, 0, 1, 2, 3), (1, 0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 4), (2, 3, 4, 5, 4, 3)
    }  # fmt: skip


def test_two_epochs_show_both_sides_of_each_picture() -> None:
    first = torch.tensor([True, False])
    assert alternating_flips(first, 0).tolist() == alternating_flips(first, 2).tolist() == [True, False]
    assert alternating_flips(first, 1).tolist() == [False, True]


def test_cut_out_blanks_one_square_and_nothing_else() -> None:
    images = torch.zeros(200, 16, 16, 3, dtype=torch.uint8)
    holed = cut_out(images, 6, torch.Generator().manual_seed(0))
    blank = holed == 121
    assert torch.equal(holed == 0, ~blank)
    assert not images.any()
    sizes = [len(one.nonzero().unique(dim=0)) // 3 for one in blank]
    assert max(sizes) == 36
    assert min(sizes) < 36  # it may hang over an edge
    heights = {int(one.any(dim=(1, 2)).sum()) for one in blank}
    assert heights == set(range(1, 7))


def mixed(share: float, seed: int = 0, count: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    """Plain pictures of the values 0, 1, ..., each a class of its own, mixed."""
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 12, 16, 3)
    return cut_mix(images, torch.eye(count), share, torch.Generator().manual_seed(seed))


def test_cut_mix_pastes_one_rectangle_of_the_picture_before() -> None:
    images, _ = mixed(1)
    sizes = set()
    for value, image in enumerate(images.tolist()):
        foreign = torch.tensor(image)[:, :, 0] != value
        assert torch.tensor(image)[foreign].unique().tolist() in ([], [(value - 1) % 200])
        height, width = int(foreign.any(1).sum()), int(foreign.any(0).sum())
        assert foreign.sum() == height * width
        sizes.add((height, width))
    assert len(sizes) > 50


def test_cut_mix_mixes_targets_as_it_mixes_pixels() -> None:
    images, targets = mixed(1)
    own = torch.arange(200)
    for values in (own, own.roll(1)):
        share = (images == values[:, None, None, None]).float().mean((1, 2, 3))
        torch.testing.assert_close(targets[own, values], share)
    torch.testing.assert_close(targets.sum(1), torch.ones(200))


def test_cut_mix_leaves_the_other_pictures_as_they_are() -> None:
    images, targets = mixed(0.25)
    touched = (targets.diagonal() < 1).tolist()
    assert 30 < sum(touched) < 70
    assert [bool((image != value).any()) for value, image in enumerate(images)] == touched


def test_cut_mix_repeats_itself_from_the_same_seed() -> None:
    for one, same, other in zip(mixed(1), mixed(1), mixed(1, seed=1), strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, other)
