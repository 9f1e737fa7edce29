"""The command compare."""

from pathlib import Path

from tests.app.bad_input.row import Row, each, file, folder

DIGITS = "compare --data digits"
TWO = "compare --data photos --variants standard"

ROWS = {
    "no data": Row("compare", ("--data is missing: give a folder .*each class, or digits",)),
    "data that are not known": Row(
        "compare --data digts", ("--data: no folder and no data set 'digts'; did you mean digits?",)
    ),
    "a folder that is not there": Row("compare --data ./photos", ("--data: no folder ./photos; give one",)),
    "a folder of nothing": Row(f"{TWO}", ("photos .*no .*folder",), folder("photos")),
    "a folder of one class": Row(
        TWO, ("photos", "class"), each(folder("photos/cat"), file("photos/cat/a.png", b"x"))
    ),
    "a variant that is not known": Row(
        f"{DIGITS} --variants stadard", ("--variants: no variant 'stadard'; did you mean standard?",)
    ),
    "the baseline alone": Row(f"{DIGITS} --variants none", ("--variants names none alone, .*name another",)),
    "a variant that is code": Row(f"{DIGITS} --variants 'Print(open(1))'", ("is no class",)),
    "rates out of range": Row(f"{DIGITS} --rates 0.5 1", ("--rates must be between 0 and 1, got 1",)),
    "a rate twice": Row(f"{DIGITS} --rates 0.5 0.5", ("--rates: each once, got 0.5 0.5",)),
    "rates of nothing": Row(
        f"{DIGITS} --variants dropalan-beta --rates 0.5", ("--rates: none of none, dropalan-beta has a rate",)
    ),
    "no minutes": Row(f"{DIGITS} --minutes 0", ("--minutes must be above 0 and at most a year, got 0",)),
    "minutes that are no number": Row(f"{DIGITS} --minutes nan", ("--minutes must be .*, got nan",)),
    "no seeds": Row(f"{DIGITS} --seeds 0", ("--seeds must be from 1 to 1000, got 0",)),
    "no jobs": Row(f"{DIGITS} --jobs 0", ("--jobs must be 1 or more, got 0",)),
    "a seed": Row(f"{DIGITS} --seed_everything 1", ("--seed_everything is not .*--seeds N",)),
    "a model of torchvision's for a network": Row(
        f"{DIGITS} --network resnet18", ("no network 'resnet18'; .*--network Backbone resnet18",)
    ),
    "a network in three words": Row(
        f"{DIGITS} --network Backbone resnet 18",
        ("--network takes a class and at most a name, got Backbone",),
    ),
    "an option that is none": Row(f"{DIGITS} --minute 3", ("no option --minute; see compare --help",)),
    "a setting without a value": Row(f"{DIGITS} --data.root", ("--data.root needs a value",)),
    "a study for a config": Row(
        f"{DIGITS} --config studies/compare", ("--config studies/compare is a study, a grid",)
    ),
    "a setting of no data": Row(f"{DIGITS} --data.rot x --plan", ("no option .*rot; did you mean root?",)),
    "data that are not there": Row(
        "compare --data mnist --data.root nowhere --plan", ("MNIST not found .*nowhere",)
    ),
    "a model that torchvision has not": Row(
        f"{DIGITS} --network Backbone resnet19 --plan", ("resnet19.*resnet18",)
    ),
    "nothing that fits": Row(
        f"{DIGITS} --variants 'MalDrop(rho=999)' --plan",
        (r"no variant fits: MalDrop\(rho=999\): rho must be at most 256.*name other --variants",),
    ),
    "a name that is another question's": Row(
        f"{DIGITS} --name mine --studies made",
        ("--name mine: made/mine answers another question; choose another name, or go on with it",),
        each(folder("made/mine"), lambda: Path("made/mine/study.yaml").touch()),
    ),
}
