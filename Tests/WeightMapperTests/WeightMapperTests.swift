import Testing

@testable import WeightMapper
