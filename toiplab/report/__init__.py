"""The report: one page that shows an exam, with pictures of its calls, sounds and boots."""
