"""What `sparselrp help TOPIC` says beside the commands' own help."""

from collections.abc import Mapping
from types import MappingProxyType

TARGETS = """\
What `-t` takes: which number of the model's output is explained.

  TARGET     = TERM, or a sum of terms with + and -
  TERM       = [NUMBER *] [OUTPUT/] TASKS [@ POSITIONS]     or   ( TARGET ) [@ POSITIONS]
  TASKS      = NAME | INDEX | A,B,C | I:J | *               several: their mean
  POSITIONS  = POS | START:END | centre | centre:WIDTH      several, with commas: their mean
             | profile                                      the shape of a profile of logits
             | blocks                                       the bins under each region's BED12 blocks

Examples:
  -t 0                          the first task
  -t suhw                       a task by its name
  -t -1                         the last task
  -t 1-0                        the second task minus the first
  -t '0,2,5'                    the mean of three tasks
  -t '*'                        the mean of all
  -t counts/0                   a task of the output that is called counts
  -t '0.5*0+0.5*1'              a weighted sum
  -t 0@centre                   the position in the middle
  -t 0@448:452                  the mean of four positions
  -t '(1-0)@centre:8'           a difference, over eight positions in the middle
  -t profile@profile            the shape of the profile, over all its strands
  -t 'log(0,1)-log(2,3)'        the log-ratio of two groups of tracks
  -t 'log(0@blocks)'            the exons of a gene
  -t "'a-b'-c"                  a name with signs of the grammar stands in quotes

-t can be given several times: one forward pass serves all. --targets FILE names many: a name, a tab and
what would be typed behind -t in each line. `sparselrp inspect MODEL` prints examples for a model."""

COMPLETION = """\
The Tab key completes commands, options and their values: shipped models, presets, formats, devices, files.

  bash    add to ~/.bashrc:                eval "$(_SPARSELRP_COMPLETE=bash_source sparselrp)"
  zsh     add to ~/.zshrc:                 eval "$(_SPARSELRP_COMPLETE=zsh_source sparselrp)"
  fish    add to ~/.config/fish/config.fish: _SPARSELRP_COMPLETE=fish_source sparselrp | source

Then open a new shell. In bash it needs version 4.4 or later."""

TOPICS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "targets": ("The syntax of -t, with examples.", TARGETS),
        "completion": ("Completion of commands and values in bash, zsh and fish.", COMPLETION),
    }
)
"""Each topic: one line on it, and its text."""
