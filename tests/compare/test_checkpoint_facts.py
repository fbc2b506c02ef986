"""What identifies a checkpoint."""

import pytest

from wav2edge.errors import CheckpointError
from wav2edge_compare.peers.checkpoint_facts import read_facts


def test_the_digest_of_a_checkpoint_covers_its_weights_and_settings(checkpoints, tmp_path):
    facts = read_facts(checkpoints("joint"))
    assert facts.digest == read_facts(checkpoints("joint")).digest
    assert facts.digest != read_facts(checkpoints("ctc")).digest
    with pytest.raises(CheckpointError, match=r"no readable config\.json"):
        read_facts(tmp_path)
