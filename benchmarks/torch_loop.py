"""The plain PyTorch CPU loop that `readout_training.py` is measured against; runs in PyTorch's own virtualenv.

Reads a number of steps from each line of stdin and answers with steps per second.
"""

import sys
import time

import numpy as np
import torch

ROWS, INPUTS, WIDTH, CLASSES, BATCH = 4096, 20, 64, 3, 128

rng = np.random.default_rng(0)
x = torch.tensor(rng.standard_normal((ROWS, INPUTS)), dtype=torch.float32)
y = torch.tensor(rng.integers(0, CLASSES, ROWS))
model = torch.nn.Sequential(
    torch.nn.Linear(INPUTS, WIDTH),
    torch.nn.BatchNorm1d(WIDTH),
    torch.nn.ReLU(),
    torch.nn.Linear(WIDTH, WIDTH),
    torch.nn.BatchNorm1d(WIDTH),
    torch.nn.ReLU(),
    torch.nn.Linear(WIDTH, CLASSES),
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
loss_function = torch.nn.CrossEntropyLoss()


def train(steps: int) -> None:
    done = 0
    while done < steps:
        order = torch.randperm(ROWS)
        for start in range(0, ROWS, BATCH):
            batch = order[start : start + BATCH]
            optimizer.zero_grad()
            loss_function(model(x[batch]), y[batch]).backward()
            optimizer.step()
            done += 1
            if done == steps:
                return


train(50)
print("ready", flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    train(int(line))
    print(int(line) / (time.perf_counter() - began), flush=True)
