"""What is below `suite` are tasks: their tests are for agents and the grader."""

collect_ignore_glob = ["suite/*"]
