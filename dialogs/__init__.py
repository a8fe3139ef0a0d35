"""Bundled dialogs: one flow a file. The settings name the packages searched for `@dialog`."""
