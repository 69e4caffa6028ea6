"""Proven causes in strangers' words, and the same notes where the immune cause stays open."""

import pytest

from irae_lib import Case, review

PROVEN = {
    "FD-34": "HOSPITAL COURSE SUMMARY\nPrincipal problem: choledocholithiasis with obstructive jaundice\n72F, RCC s/p nephrectomy, on adjuvant pembrolizumab (C11 on the 2nd). Came with RUQ colic after the church fish fry, dark urine, pale stools. No fever.\n\n               ADM      POST-ERCP d1    DC\nT bili         6.9      3.8             1.9     (0.2-1.2 mg/dL)\nALP            540      391             248     (40-130)\nALT            286      170             74      (7-55)\nAST            241      98              41      (8-48)\nLipase         38                               (13-60)\nINR            1.0                      1.0\n\nUS: gallstones, CBD 13 mm. MRCP: 9 mm stone in distal CBD w/ upstream dilatation. ERCP Dr. Vance: sphincterotomy, stone + sludge removed, clear cholangiogram. Lap chole next day, uneventful.\nAssessment: liver tests entirely due to the bile duct stone; hepatitis from immunotherapy not suspected, oncology agrees, no steroids, pembrolizumab to continue on schedule.\nDC home. Tylenol, Colace. LFTs in 1 wk w/ PCP. Surgical check 2 wk. Low fat diet. Pt pleased, wants copy of stone photo.",
    "FD-47": "From a hepatology case series, put into other words. A woman of 70 was nine months into pembrolizumab for bladder cancer when her GP gave her a week of co-amoxiclav for an infected cat scratch. Three weeks later she itched and her urine darkened. ALT stood at 310 U/L (normal up to 40), ALP at 420 (up to 120), bilirubin at 68 µmol/L (up to 21); every earlier liver panel on pembrolizumab had been normal. Ducts were thin on MRCP, hepatitis A, B, C and E tests negative, autoantibodies absent. Nothing was done but to keep her off co-amoxiclav. Pembrolizumab was carried on without missing a dose and no corticosteroid was used. At two weeks ALT was 120, at five weeks 38, and at eight weeks every liver value was normal, where they stayed through seven further doses. The authors conclude that co-amoxiclav was the cause and that its withdrawal alone had ended the injury; an immune hepatitis, they argue, would hardly have gone away under continued treatment.",
    "FJ-32": "A short report from Lyon concerned a hunter aged 63 whose kidney cancer was well held by nivolumab. At a routine visit his ALT was 980 U/L (normal under 45) and AST 744, bilirubin 31 micromol/L, alkaline phosphatase 128. He felt tired but otherwise unremarkable. The drug was paused and steroids had been written up, but the hepatologist asked for one more tube before the first tablet.\n\nHepatitis E IgM was strongly reactive and HEV RNA was found in blood at 5.9 log copies, genotype 3. Hepatitis A, B, C, CMV and EBV were negative; autoantibodies absent. He remembered home-made pig liver sausage five weeks earlier. The prescription was torn up. No immunosuppressant of any kind was given. Transaminases fell by themselves: ALT 410, 96 and then 33 at week seven, when the RNA was undetectable. The writers state that the hepatitis was due to acute hepatitis E and was not caused by nivolumab, which he took again without the enzymes stirring.",
    "FJ-37": "Dermatologists in Leeds described a nursing-home kitchen porter, 68, having tislelizumab for oesophageal cancer. An intensely itchy rash had spread over some 40% of his skin; it kept him up all night and he had scratched his forearms raw. The oncologists stopped the infusions on the assumption of an immune rash and asked for help, with oral prednisolone planned if nothing else came to light.\n\nBetween the fingers and along the belt line there were tiny wavy tracks. Dermoscopy showed the delta sign, and a punch biopsy held a mite with eggs in the horny layer above an eosinophil-rich dermis; there was no interface change, and direct immunofluorescence was negative. Three residents of the home had the same complaint. The rash was therefore ascribed to scabies alone and the team wrote that an immune-related reaction had been ruled out. Permethrin twice and one tablet of ivermectin, no steroids, left him clear within a month. Tislelizumab went on for another year without skin trouble.",
    "FJ-39": "ID/Neuro joint round  Hobart   D3\n76M  lung ca, durva (completed 8 wk ago). Soft cheese + rockmelon enthusiast per daughter\nadm: T39.2, headache, neck stiff ++, confused, GCS 13\nCT/MRI: no mets, no abscess, no hippocampal change\nCSF: WCC 980 (70% poly), prot 2.2, glu 1.1 / 7.0\nCSF culture: LISTERIA MONOCYTOGENES. same bug 2/2 blood cx\nHSV/VZV pcr neg, aciclovir off\nampicillin 2 g q4h + gent d3. no dex given at any point\nToday GCS 15, T37.1, knows footy score. No fits.\nID+onc agree: confusion and meningitis = Listeria. immune encephalitis/meningitis excluded, nil steroids\n21 d ampi via PICC, HITH\npublic health notified",
}
OPEN = [  # (note, words replaced, by)
    ("FJ-32", "The prescription was torn up. No immunosuppressant of any kind was given.", "He took prednisolone."),
    ("FD-34", "not suspected", "also suspected"),
    ("FD-47", "would hardly have gone away", "may well have gone away"),
]


@pytest.mark.parametrize("name", PROVEN)
def test_a_proven_cause_raises_no_organ(name):
    final = review(Case(text=PROVEN[name])).final
    assert not final.irae_detected and not final.affected_systems


@pytest.mark.parametrize("name, words, instead", OPEN)
def test_an_open_cause_keeps_the_organ(name, words, instead):
    assert words in PROVEN[name]
    assert review(Case(text=PROVEN[name].replace(words, instead))).final.irae_detected
