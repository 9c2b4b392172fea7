"""Benchmark tasks: format, runner, grading, failure modes, statistics, reports."""
