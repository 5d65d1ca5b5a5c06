"""What `runstead doctor` looks at, one file a part of the surroundings. Changes nothing."""
