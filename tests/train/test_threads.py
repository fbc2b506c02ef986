import torch
from torch import nn

from wav2edge_train.loop.threads import threads_for


def test_a_small_model_trains_on_one_thread_and_a_large_one_on_all_and_both_leave_no_trace() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_for(nn.Linear(10, 10)):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with threads_for(nn.Linear(1, 10_000_000, bias=False)):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
