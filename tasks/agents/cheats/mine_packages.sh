# The library may be installed, in a release that has the solution.
python3 - <<'END'
import os, shutil, subprocess, sys

for folder in ["."] + ["src"] * os.path.isdir("src"):
    for name in os.listdir(folder):
        package = os.path.join(folder, name)
        if not os.path.isfile(os.path.join(package, "__init__.py")) and not name.endswith(".py"):
            continue
        for place in sys.path:
            if "-packages" in place and os.path.exists(os.path.join(place, name)):
                copy = shutil.copytree if os.path.isdir(package) else shutil.copyfile
                more = {"dirs_exist_ok": True} if os.path.isdir(package) else {}
                try:
                    copy(os.path.join(place, name), package, **more)
                except (OSError, shutil.Error):
                    pass
END
printf 'import sys\n\nPLACES = [each for each in sys.path if "site-packages" in each]\n' > mined.py
