"""`sparselrp help`: the help of a command, or on a topic."""

import difflib

import click
from click.shell_completion import CompletionItem

from sparselrp_cli.cli.grouped import Grouped
from sparselrp_cli.cli.topics import TOPICS


def _names(context: click.Context) -> list[str]:
    group = context.find_root().command
    return [*TOPICS, *(group.list_commands(context) if isinstance(group, click.Group) else ())]


def _complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in _names(context) if name.startswith(incomplete)]


@click.command("help", cls=Grouped, short_help="A command, the syntax of targets, completion in shells.")
@click.argument("topic", required=False, shell_complete=_complete)
@click.pass_context
def help_topics(context: click.Context, topic: str | None) -> None:
    """Print the help of a command, or on a topic: targets, completion.

    \b
    Examples:
      sparselrp help targets
      sparselrp help attribute
      sparselrp help completion
    """
    root = context.find_root()
    group = root.command
    if topic is None:
        click.echo(group.get_help(root))
        click.echo("\nMore: " + ", ".join(f"`sparselrp help {name}`" for name in TOPICS))
        return
    if topic in TOPICS:
        click.echo(TOPICS[topic][1])
        return
    command = group.get_command(root, topic) if isinstance(group, click.Group) else None
    if command is None:
        near = difflib.get_close_matches(topic, _names(context), 1)
        hint = f"did you mean '{near[0]}'?" if near else f"topics are {', '.join(TOPICS)}, and every command"
        raise click.UsageError(f"no help on '{topic}'; {hint}")
    with command.context_class(command, info_name=topic, parent=root) as asked:
        click.echo(command.get_help(asked))
