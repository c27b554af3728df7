// WeightArchive
