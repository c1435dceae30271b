import torch

from train.augment import alternating_flips, augment, cut_out


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
