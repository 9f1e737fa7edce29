"""A tiny ISIC 2020 in the published format: label files, JPEGs, duplicates."""

from pathlib import Path

import numpy as np
from PIL import Image

COLUMNS = (
    "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"
)
PATIENTS = 30
IMAGES_A_PATIENT = 3
MALIGNANT_EVERY = 5


def kaggle_rows() -> list[list[str]]:
    """90 images of 30 patients; every fifth patient has one malignant image; some values are missing."""
    rows = []
    for patient in range(PATIENTS):
        for number in range(IMAGES_A_PATIENT):
            target = int(number == 0 and patient % MALIGNANT_EVERY == 0)
            rows.append(
                [
                    f"ISIC_{100 * patient + number:07d}",
                    f"IP_{patient:07d}",
                    "" if patient == 1 else ("female", "male")[patient % 2],
                    "" if patient == 2 else f"{30.0 + 5 * (patient % 10)}",
                    "" if patient == 3 else "lower extremity",
                    "melanoma" if target else "unknown",
                    ("benign", "malignant")[target],
                    str(target),
                ]
            )
    # As published: patients in no order.
    return [rows[index] for index in np.random.default_rng(0).permutation(len(rows))]


def kaggle_csv(rows: list[list[str]]) -> str:
    """Kaggle's ``train.csv``."""
    return "".join(",".join(row) + "\n" for row in [COLUMNS.split(","), *rows])


def archive_csv(rows: list[list[str]]) -> str:
    """The archive's file: CRLF, ``lesion_id``, whole ages."""
    header = COLUMNS.split(",")
    lines = [[*header[:2], "lesion_id", *header[2:]]]
    for number, row in enumerate(rows):
        lines.append([*row[:2], f"IL_{number:07d}", row[2], row[3].removesuffix(".0"), *row[4:]])
    return "".join(",".join(line) + "\r\n" for line in lines)


def write_isic(root: Path, archive: bool = False) -> Path:
    """Write ``isic2020/``: labels, JPEGs of noise, one pair of duplicates of two patients; return the folder."""
    folder = root / "isic2020"
    (folder / "train").mkdir(parents=True)
    rows = kaggle_rows()
    name, text = (
        ("ISIC_2020_Training_GroundTruth_v2.csv", archive_csv(rows))
        if archive
        else ("train.csv", kaggle_csv(rows))
    )
    (folder / name).write_bytes(text.encode())
    (folder / "ISIC_2020_Training_Duplicates.csv").write_bytes(
        b"image_name_1,image_name_2\r\nISIC_0000001,ISIC_0000101\r\n"
    )
    generator = np.random.default_rng(0)
    for row in rows:
        pixels = generator.integers(0, 256, size=(20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "train" / f"{row[0]}.jpg", quality=90)
    return folder
