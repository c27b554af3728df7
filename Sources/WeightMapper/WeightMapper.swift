// WeightMapper
