import numpy as np
import pytest

from models.forecasting.accuracy import measure
from models.forecasting.seasonal import History, forecast, profile, region_shares
from models.planning.foreseen import HOUR_US, Lines, expect

MONDAY = 24 * 4  # hours since 1970: the first Monday, 1970-01-05


def history(rows: list[tuple[int, int, int, int]], hours: int = 168, skus: int = 2) -> History:
    """Rows of SKU, region, hour after Monday 00:00, units."""
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    return History(
        columns[0], columns[1], columns[2] + MONDAY, columns[3], skus, 2, MONDAY, MONDAY + hours
    )


def steady(units: int, hours: int = 336) -> History:
    return history([(0, h % 2, h, units) for h in range(hours)], hours)


def test_steady_demand_goes_on() -> None:
    expected = forecast(steady(3), MONDAY + 336, MONDAY + 336 + 100)

    assert expected[0].sum() == pytest.approx(300)
    assert expected[0] == pytest.approx([150, 150])
    assert not expected[1].any()


def test_without_history_or_horizon_nothing_is_expected() -> None:
    assert not forecast(history([], 0), MONDAY, MONDAY + 9).any()
    assert not forecast(steady(3), MONDAY + 336, MONDAY + 336).any()


def test_a_busy_hour_of_the_week_is_expected_to_be_busy_again() -> None:
    busy = history([(0, 0, week * 168 + 10, 168) for week in range(8)], 8 * 168)

    assert profile(busy).argmax() == 10
    later = MONDAY + 8 * 168
    assert (
        forecast(busy, later + 10, later + 11).sum() > 50 * forecast(busy, later, later + 1).sum()
    )


def test_the_profile_of_whole_weeks_has_mean_one() -> None:
    assert profile(steady(2)).mean() == pytest.approx(1.0)
    assert (profile(history([])) == 1.0).all()


def test_a_rare_sku_takes_the_shares_of_all_skus() -> None:
    shares = region_shares(history([(0, 0, 1, 900), (0, 1, 1, 100), (1, 1, 1, 1)]))

    assert shares.sum(axis=1) == pytest.approx([1, 1])
    assert shares[0, 0] == pytest.approx(0.9, abs=0.01)
    assert 0.8 < shares[1, 0] < 0.9


def test_accuracy_is_perfect_on_what_is_perfectly_regular() -> None:
    accuracy = measure(steady(2))

    assert accuracy is not None
    assert accuracy.wape == pytest.approx(0.0, abs=1e-9)
    assert accuracy.bias == pytest.approx(0.0, abs=1e-9)
    assert (accuracy.hours, accuracy.units) == (84, 168)


def test_bias_says_when_too_much_was_expected() -> None:
    falling = history([(0, 0, h, 4 if h < 252 else 2) for h in range(336)], 336)

    accuracy = measure(falling)

    assert accuracy is not None
    assert accuracy.bias == pytest.approx(1.0, abs=0.15)
    assert accuracy.wape == pytest.approx(accuracy.bias)


def test_accuracy_needs_demand_at_the_end() -> None:
    assert measure(history([(0, 0, 1, 5)])) is None
    assert measure(history([], 0)) is None


def test_noise_of_single_cells_is_larger_than_of_skus() -> None:
    g = np.random.default_rng(3)
    rows = [(int(g.integers(2)), int(g.integers(2)), h, int(g.poisson(2))) for h in range(1_000)]

    accuracy = measure(history(rows, 1_000))

    assert accuracy is not None
    assert accuracy.wape_by_sku <= accuracy.wape < 0.4


def test_lines_of_a_log_become_what_the_planner_expects() -> None:
    def column(*values: int) -> np.ndarray:
        return np.array(values, np.int64)

    at = (MONDAY + column(0, 0, 1)) * HOUR_US
    lines = Lines(column(0, 0, 1), at, column(0, 1, 0), column(0, 0, 1), column(2, 1, 4),
                  column(500, 100, 500), column(9, 7, 9), column(1, 2, 1))  # fmt: skip

    expected = expect(lines, 3, 2, (MONDAY + 1) * HOUR_US, 2)

    assert expected.units.sum() == pytest.approx(7.0, rel=0.05)
    assert expected.lines.tolist() == [0.5, 0.5, 0, 0]
    assert expected.line_qty.tolist() == [3.0, 1.0, 1.0]
    assert expected.weight_g.tolist() == [500, 100, 0]
    assert expected.volume_cm3.tolist() == [9, 7, 0]
    assert expected.needs.tolist() == [1, 2, 0]
