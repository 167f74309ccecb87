"""What a third party can check without trusting anybody: trees and chains of digests, proofs, EPCIS events."""
