// One of the parts of which OpenHermes was made; it is not OpenHermes.

import { type Dataset, FIRST_EXCHANGE, localFile } from "./dataset.ts";

export const gpteacherChat: Dataset = {
  name: "gpteacher-chat",
  kind: "text",
  license: "MIT",
  homepage: "https://github.com/teknium1/GPTeacher",
  language: "en",
  description: "Instructions and answers of GPTeacher, one of the parts of OpenHermes.",
  size: "15,354 conversations, 7.4 MB of text, 1.8 M GPT-2 tokens",
  rows: 15_354,
  columns: ["conversations", "source", "category"],
  files: [
    localFile(
      "corpora/gpteacher-chat/train-00000-of-00001.parquet",
      "parquet",
      1_400_759,
      "6f38d5015556e99b9b07db3c22df7f1ede4e123294e514fe112f45b01f769edc",
    ),
  ],
  text: FIRST_EXCHANGE,
};
