/* The guards' dictionary in rows; guard_words.c makes a hash table of them. Own lists.
 *
 *     ROLE      words that play the roles
 *     CONTRAST  sides that exclude each other, apart by |; words of one side may stand for each other
 *     SYNONYM   classes of words that may stand for each other, apart by |; also irregular forms of a verb
 *     UNIT      one dimension, its units apart by |; ~ before a word: only where a number stands before it
 *     DATE      the same; ~ before a word: only where it is capitalised or next to a number
 *     QUESTION  question words apart by |
 *     NUMBER    words apart by |, each with its value; roles tell ordinals
 *     LANGUAGE  function words of languages, in the order of enum language
 *     ALIAS     a word and the words that stand for it, apart by | */
#define STOP RM_GUARD__STOP
static const struct row {
    enum { ROLE, CONTRAST, SYNONYM, UNIT, DATE, QUESTION, NUMBER, LANGUAGE, ALIAS } kind;
    uint32_t roles;
    const char *text;
} rows[] = {
    /* ---- function words ------------------------------------------------------------------------------------------ */
    {ROLE, STOP | RM_GUARD__ARTICLE, "a an the"},
    {ROLE, STOP,
     "am do does did doing done have has had having will would shall should can could may might must ought this that "
     "these those there here it its itself i me my mine myself we us our ours ourselves you your yours yourself "
     "yourselves they them their theirs themselves one ones ones' oneself someone somebody anyone anybody people "
     "everyone everybody some any all each every both such own other another same so too very just also even still "
     "only quite rather much many few lot lots more most less least as if then else but however because while though "
     "although "
     "since until unless whether like again already yet ever now up down out off let lets get gets "
     "got getting gotten go goes going want wants wanted need needs needed possible able etc eg ie re "
     "really actually truly indeed somehow basically literally definitely certainly simply currently exactly "
     "anyway maybe perhaps wondering usually normally typically generally probably honestly"},
    {ROLE, RM_GUARD__DETERMINER, "my your our their his her its this that these those any some"},
    {ROLE, STOP | RM_GUARD__BE, "be is are was were been being"},
    {ROLE, STOP | RM_GUARD__PREP,
     "of in on at for with to as about under over via per into onto upon within along across among between through "
     "during "
     "against toward towards around near inside outside behind beside besides beneath "
     "according regarding concerning"},
    {ROLE, STOP | RM_GUARD__PREP | RM_GUARD__ROLE, "from by than before after"},
    {ROLE, RM_GUARD__ROLE | RM_GUARD__PERSON, "he she him her his hers"},
    {ROLE, STOP, "he she him her his hers himself herself"},
    {ROLE, STOP | RM_GUARD__COORD, "and or nor vs versus & plus"},
    {ROLE, RM_GUARD__FILLER, "please pls plz plse kindly uh um umm er hmm"},
    {ROLE, RM_GUARD__POLITE, "hi hello hey hiya thanks thank thx cheers sorry ok okay greetings yo regards ty"},
    {ROLE, RM_GUARD__LIGHT,
     "way ways thing things good best great nice well silly question questions quick tell know "
     "explain help give show find say mean means make use using used kind sort type example "
     "examples different various think thinks believe take takes took"},
    {ROLE, RM_GUARD__IS_AFTER, "what who where when how why that there it he she here which"},
    {ROLE, STOP | RM_GUARD__NEGATION, "not never no without cannot neither none nobody nothing nowhere hardly"},
    {ROLE, RM_GUARD__NEGATION, "lack lacks lacking except excluding"},
    {ROLE, RM_GUARD__ABROAD,
     "nicht kein keine keinen nie pas jamais non no nunca nao não niet geen nooit mai sin sans "
     "ohne sem zonder senza"},
    {ROLE, RM_GUARD__ASPECT, "becoming formerly previously anymore"},
    {ROLE, RM_GUARD__SYMMETRIC,
     "married marry marrying engaged dating related connected close acquainted acquaintance friend friends neighbor "
     "neighbors neighbour neighbours differ differs different difference differences similar similarity similarities "
     "equal equals equivalent close versus vs relationship relation distance "
     "colleague colleagues cousin cousins sibling siblings twin twins partner partners roommate roommates classmate "
     "adjacent identical same near between meet met"},
    {ROLE, RM_GUARD__INJECT,
     "ignore ignoring disregard override overwrite forget bypass pretend reply respond output "
     "repeat print reveal obey"},
    {ROLE, RM_GUARD__INJECTED,
     "instruction instructions prompt prompts previous above prior rules guidelines system "
     "verbatim exactly only jailbreak"},
    {ROLE, RM_GUARD__CAPITONYM,
     "polish turkey china march may august job nice reading cork mobile rust swift go apple shell oracle mercury mark "
     "rose will bill grant frank jack rob sue drew grace hope faith gene dale penny pearl amber violet lily daisy ivy "
     "holly iris olive ginger basil bath chad java jersey pole lent mass orange target gap chase sprint edge brave "
     "signal stripe square aids cat pet led rest soap ram dos lamp add sad sat act ace bash"},
    {ROLE, RM_GUARD__ORDER,
     "answer reply respond write say repeat translate end finish pretend act speak talk output print forget ignore "
     "disregard override bypass stop reveal obey include append rank summarize summarise behave roleplay imagine "
     "assume mention"},
    {ROLE, RM_GUARD__LITERAL,
     "uppercase lowercase capitalize capitalise capitalized capitalised spell spelled spelt spelling hash md5 sha "
     "base64 checksum palindrome anagram"},
    {QUESTION, STOP | RM_GUARD__WH, "what whats | who whom whose | when | where | why | how | which"},
    {QUESTION, 0, "is are was were am | do does did | can could | should shall | will would | has have had | if"},

    /* ---- spellings ------------------------------------------------------------------------------------------------ */
    {ALIAS, 0,
     "dont do not | doesnt does not | didnt did not | isnt is not | arent are not | wasnt was not | werent were not | "
     "cant can not | cannot can not | couldnt could not | wont will not | wouldnt would not | shouldnt should not | "
     "hasnt has not | havent have not | hadnt had not | mustnt must not | neednt need not | aint is not | whats what "
     "is | whos who is | wheres where is | hows how is | thats that is | theres there is | im i am | ive i have | "
     " youre you are | youve you have | theyre they are | weve we have | gonna going to | wanna want to | gotta "
     "got to | pls please | u you | r are | ur your | wifi wi fi | email e mail | emails e mails | "
     "til until | till until | cuz because | tho though | thru through | &amp and"},
    {SYNONYM, 0,
     "usa america | uk britain | tv television | phone telephone cellphone smartphone mobile | photo photograph "
     "picture "
     "photos photographs pictures | info information | app application apps applications | uni university | exam "
     "examination exams examinations | ad advert advertisement ads | fridge refrigerator | flat apartment | quote "
     "quotation quotes quotations | vs versus | mom mum mother | dad father | kid child kids children | man men | "
     "woman "
     "women | person people | life lives | wife wives | foot feet | tooth teeth | mouse mice | percent percentage"},
    {SYNONYM, 0,
     "color colour colors colours | center centre | favorite favourite | organize organise | analyze analyse | gray "
     "grey "
     "| cancel cancelled canceled cancelling canceling | travel travelled traveled travelling traveling | program "
     "programme | license licence | defense defence | theater theatre | catalog catalogue | behavior behaviour | humor "
     "humour | neighbor neighbour | realize realise | meter metre | liter litre | tire tyre | aluminum aluminium | "
     "install instal | fulfill fulfil | traveler traveller | jewelry jewellery | check cheque"},
    {SYNONYM, 0,
     "buy purchase bought | begin start commence began begun | end finish | big large | small little | fast quick "
     "rapid | "
     "happy joyful glad cheerful | sad unhappy | brave courageous | smart clever intelligent | thankful grateful | "
     "rich "
     "wealthy | angry mad | afraid scared frightened fearful | cheap inexpensive | expensive costly | easy simple | "
     "hard "
     "difficult tough | pretty beautiful | ill sick | job occupation | movie film movies films | car automobile | "
     "doctor "
     "physician | lawyer attorney | error mistake | reply answer respond | fix repair mend | get obtain acquire | "
     "choose "
     "select pick chose chosen | delete erase | main primary | often frequently | humble modest | "
     "lazy "
     "idle | polite courteous | odd weird strange | famous renowned | wrong incorrect | right correct | hate detest | "
     "religious spiritual | vigorous energetic | conservative traditional | arrogant cocky | timid shy | change switch "
     "update modify alter | street road | request ask | show display | agent agency | area region "
     "| salary wage pay | trip journey | location place | price cost costs prices"},
    {ROLE, RM_GUARD__PARTICIPLE,
     "hit put cut set let hurt read bought begun chosen made built beaten eaten written given taken seen"},
    {SYNONYM, RM_GUARD__PARTICIPLE,
     "use used | understand understood | sell sold | write wrote written | take took taken | give gave given | see saw "
     "seen | "
     "know "
     "knew known | eat ate eaten | drive drove driven | break broke broken | steal stole stolen | teach taught | catch "
     "caught | find found | lose lost | win won | make made | build built | send sent | spend spent | hold held | keep "
     "kept | leave left | lead led | feed fed | meet met | pay paid | tell told | think thought | bring brought | "
     "fight "
     "fought | forget forgot forgotten | beat beaten | bite bit bitten | hide hid hidden | shake shook shaken | speak "
     "spoke spoken | wear wore worn | throw threw thrown | draw drew drawn | fly flew flown | grow grew grown | run "
     "ran | "
     "swim swam swum | sing sang sung | drink drank drunk | ring rang rung | shoot shot | strike struck | sleep slept "
     "| "
     "feel felt | fall fell fallen | rise rose risen | lend lent | hear heard | read reading | lie lied lying lies | "
     "do "
     "did done | become became becoming | forgive forgave forgiven | swear swore sworn | seek sought"},

    /* ---- contrasts ------------------------------------------------------------------------------------------------ */
    {CONTRAST, RM_GUARD__COORD, "and | or"},
    {CONTRAST, 0, "more increasingly | less fewer"},
    {CONTRAST, 0, "most | least fewest"},
    {CONTRAST, 0, "always forever | never | sometimes occasionally | rarely seldom"},
    {CONTRAST, 0, "all every everyone everybody | none nobody"},
    {CONTRAST, 0, "before beforehand | after afterwards | during while"},
    {CONTRAST, 0, "above over | below under beneath"},
    {CONTRAST, 0, "inside indoors indoor internal inner | outside outdoors outdoor external outer"},
    {CONTRAST, 0, "up upward upwards | down downward downwards"},
    {CONTRAST, 0, "on | off"},
    {CONTRAST, 0, "with | without"},
    {CONTRAST, 0, "for pro | against anti"},
    {CONTRAST, 0, "early earlier earliest | late later latest"},
    {CONTRAST, 0, "first | last final"},
    {CONTRAST, 0, "next upcoming following | previous last past prior | current this present"},
    {CONTRAST, 0, "same | next | different"},
    {CONTRAST, 0, "best better | worst worse"},
    {CONTRAST, 0, "good great | bad awful terrible"},
    {CONTRAST, 0, "big bigger biggest large larger largest huge | small smaller smallest little tiny"},
    {CONTRAST, 0, "high higher highest | low lower lowest"},
    {CONTRAST, 0, "tall taller tallest long longer longest | short shorter shortest"},
    {CONTRAST, 0, "wide wider widest broad | narrow narrower narrowest"},
    {CONTRAST, 0, "thick thicker | thin thinner"},
    {CONTRAST, 0, "deep deeper deepest | shallow shallower"},
    {CONTRAST, 0, "fast faster fastest quick quicker quickest quickly rapid | slow slower slowest slowly"},
    {CONTRAST, 0, "heavy heavier heaviest | light lighter lightest"},
    {CONTRAST, 0, "dark darker darkest | light lighter lightest bright brighter brightest"},
    {CONTRAST, 0, "strong stronger strongest | weak weaker weakest"},
    {CONTRAST, 0, "hot hotter hottest | cold colder coldest | warm warmer warmest | cool cooler coolest"},
    {CONTRAST, 0, "wet wetter humid | dry drier dryer"},
    {CONTRAST, 0, "hard harder hardest difficult | easy easier easiest simple simpler"},
    {CONTRAST, 0, "hard harder hardest | soft softer softest"},
    {CONTRAST, 0, "old older oldest | new newer newest"},
    {CONTRAST, 0, "old older oldest elderly senior | young younger youngest junior"},
    {CONTRAST, 0, "ancient | modern contemporary"},
    {CONTRAST, 0, "rich richer richest wealthy | poor poorer poorest"},
    {CONTRAST, 0, "cheap cheaper cheapest inexpensive | expensive pricier costly dear"},
    {CONTRAST, 0, "free | paid"},
    {CONTRAST, 0, "happy happier happiest joyful glad | sad sadder unhappy miserable"},
    {CONTRAST, 0, "safe safer safest | dangerous risky unsafe"},
    {CONTRAST, 0, "clean cleaner cleanest | dirty dirtier"},
    {CONTRAST, 0, "full fuller | empty emptier"},
    {CONTRAST, 0, "loud louder noisy | quiet quieter silent"},
    {CONTRAST, 0, "busy busier busiest | quiet idle"},
    {CONTRAST, 0, "rough | smooth"},
    {CONTRAST, 0, "sharp | blunt dull"},
    {CONTRAST, 0, "sweet | bitter sour salty"},
    {CONTRAST, 0, "raw uncooked | cooked"},
    {CONTRAST, 0, "fresh | stale rotten"},
    {CONTRAST, 0, "healthy | sick ill unhealthy"},
    {CONTRAST, 0, "alive living live | dead"},
    {CONTRAST, 0, "awake | asleep"},
    {CONTRAST, 0, "smart clever intelligent wise brilliant | stupid dumb foolish"},
    {CONTRAST, 0, "brave courageous bold fearless | cowardly afraid fearful timid"},
    {CONTRAST, 0, "humble modest | proud arrogant"},
    {CONTRAST, 0, "polite courteous | rude"},
    {CONTRAST, 0, "kind | cruel mean unkind"},
    {CONTRAST, 0, "generous | stingy selfish"},
    {CONTRAST, 0, "lazy | hardworking diligent industrious"},
    {CONTRAST, 0, "optimistic | pessimistic"},
    {CONTRAST, 0, "introverted introvert | extroverted extrovert"},
    {CONTRAST, 0, "active | passive inactive"},
    {CONTRAST, 0, "progressive liberal | conservative"},
    {CONTRAST, 0, "religious | secular"},
    {CONTRAST, 0, "guilty | innocent"},
    {CONTRAST, 0, "true | false"},
    {CONTRAST, 0, "right correct | wrong incorrect"},
    {CONTRAST, 0, "right | left"},
    {CONTRAST, 0, "real genuine authentic | fake false counterfeit bogus"},
    {CONTRAST, 0, "public | private"},
    {CONTRAST, 0, "single unmarried | married"},
    {CONTRAST, 0, "single | double | triple"},
    {CONTRAST, 0, "simple | complex complicated"},
    {CONTRAST, 0, "common usual | rare unusual uncommon"},
    {CONTRAST, 0, "major | minor"},
    {CONTRAST, 0, "maximum max maximal maximize maximise | minimum min minimal minimize minimise"},
    {CONTRAST, 0, "top upper | bottom lower"},
    {CONTRAST, 0, "front forward forwards | back rear backward backwards"},
    {CONTRAST, 0, "near nearest close closer closest nearby | far farther farthest further distant"},
    {CONTRAST, 0, "positive | negative"},
    {CONTRAST, 0,
     "pros pro advantage advantages benefit benefits strengths upside | cons con disadvantage disadvantages "
     "drawback drawbacks weaknesses downside"},
    {CONTRAST, 0, "odd | even"},
    {CONTRAST, 0, "prime | composite"},
    {CONTRAST, 0, "horizontal horizontally | vertical vertically"},
    {CONTRAST, 0, "convex | concave"},
    {CONTRAST, 0, "static | dynamic"},
    {CONTRAST, 0, "sync synchronous | async asynchronous"},
    {CONTRAST, 0, "serial sequential | parallel"},
    {CONTRAST, 0, "mutable | immutable"},
    {CONTRAST, 0, "manual manually | automatic automatically"},
    {CONTRAST, 0, "temporary temporarily | permanent permanently"},
    {CONTRAST, 0, "local | remote global"},
    {CONTRAST, 0, "domestic national | international foreign"},
    {CONTRAST, 0, "direct directly | indirect indirectly"},
    {CONTRAST, 0, "partial partially partly | total totally whole complete completely entire entirely fully"},
    {CONTRAST, 0, "gross | net"},
    {CONTRAST, 0, "wholesale | retail"},
    {CONTRAST, 0, "urban | rural"},
    {CONTRAST, 0, "solid | liquid | gas gaseous"},
    {CONTRAST, 0, "acid acidic | base alkaline basic"},
    {CONTRAST, 0, "domestic tame | wild"},
    {CONTRAST, 0, "amateur | professional"},
    {CONTRAST, 0, "beginner beginners novice | advanced expert experts"},
    {CONTRAST, 0, "mandatory compulsory required obligatory | optional voluntary"},
    {CONTRAST, 0,
     "increase increases increased increasing increment raise raises raised raising grow grows gain boost "
     "higher expand rise rises | decrease decreases decreased decreasing decrement reduce reduces reduced "
     "reducing lower lowers lowered lowering shrink cut diminish drop drops fall falls"},
    {CONTRAST, 0, "gain gains gained gaining | lose loses lost losing loss"},
    {CONTRAST, 0, "win wins won winning winner victory | lose loses lost losing loser defeat"},
    {CONTRAST, 0, "profit profits | loss losses"},
    {CONTRAST, 0, "rise rises rising rose | fall falls falling fell drop"},
    {CONTRAST, 0, "open opens opened opening | close closes closed closing shut"},
    {CONTRAST, 0, "buy buys buying bought purchase | sell sells selling sold | rent rents renting rented"},
    {CONTRAST, 0, "buyer buyers | seller sellers"},
    {CONTRAST, 0, "lend lends lending lent lender lenders | borrow borrows borrowing borrowed borrower"},
    {CONTRAST, 0, "enable enables enabled enabling activate | disable disables disabled disabling deactivate"},
    {CONTRAST, 0,
     "allow allows allowed permit permitted allowing | forbid forbidden ban banned prohibit prohibited deny "
     "block"},
    {CONTRAST, 0,
     "accept accepts accepted accepting approve approved | reject rejects rejected rejecting decline "
     "declined refuse refused"},
    {CONTRAST, 0,
     "start starts started starting begin begins beginning launch | stop stops stopped stopping end ends "
     "ending finish quit halt"},
    {CONTRAST, 0, "continue resume | stop pause suspend"},
    {CONTRAST, 0,
     "add adds added adding insert append | remove removes removed removing delete deletes deleted deleting "
     "subtract"},
    {CONTRAST, 0, "create creates created creating | delete deletes deleted deleting destroy destroys"},
    {CONTRAST, 0, "build building | demolish destroy"},
    {CONTRAST, 0, "import imports imported importing | export exports exported exporting"},
    {CONTRAST, 0,
     "encrypt encrypts encrypted encrypting encryption | decrypt decrypts decrypted decrypting decryption"},
    {CONTRAST, 0, "encode encodes encoding encoded encoder | decode decodes decoding decoded decoder"},
    {CONTRAST, 0, "compress compressed compression zip | decompress uncompress extract unzip"},
    {CONTRAST, 0, "upload uploads uploaded uploading | download downloads downloaded downloading"},
    {CONTRAST, 0, "send sends sent sending sender | receive receives received receiving receiver recipient"},
    {CONTRAST, 0, "read reads reading | write writes writing wrote written"},
    {CONTRAST, 0, "input inputs | output outputs"},
    {CONTRAST, 0, "push pushing | pull pulling"},
    {CONTRAST, 0, "lock locks locked locking | unlock unlocks unlocked unlocking"},
    {CONTRAST, 0, "connect connected attach attached | disconnect disconnected detach detached"},
    {CONTRAST, 0, "join joining | leave leaving split"},
    {CONTRAST, 0, "enter entering entry entrance | exit exiting leave"},
    {CONTRAST, 0,
     "arrive arrives arriving arrival arrivals | depart departs departing departure departures leave leaves "
     "leaving"},
    {CONTRAST, 0, "install installs installing installed instal | uninstall uninstalls uninstalling uninstalled"},
    {CONTRAST, 0, "login signin log-in | logout signout"},
    {CONTRAST, 0, "in | out"},
    {CONTRAST, 0, "subscribe subscribing | unsubscribe unsubscribing"},
    {CONTRAST, 0, "follow following | unfollow"},
    {CONTRAST, 0, "hide hides hiding hidden | show shows showing shown reveal display visible"},
    {CONTRAST, 0, "ascending ascend | descending descend"},
    {CONTRAST, 0, "love loves loved loving | hate hates hated hating"},
    {CONTRAST, 0, "like likes | dislike dislikes"},
    {CONTRAST, 0, "agree agrees | disagree disagrees"},
    {CONTRAST, 0, "remember remembering | forget forgetting forgot"},
    {CONTRAST, 0, "succeed success successful successfully | fail fails failed failure unsuccessful"},
    {CONTRAST, 0, "pass passes passed passing | fail fails failed failing"},
    {CONTRAST, 0, "save saves saved saving savings | spend spends spending spent waste"},
    {CONTRAST, 0, "deposit deposits | withdraw withdraws withdrawal withdrawals"},
    {CONTRAST, 0, "credit | debit"},
    {CONTRAST, 0, "asset assets | liability liabilities"},
    {CONTRAST, 0, "income revenue earn | expense expenses cost spend"},
    {CONTRAST, 0, "supply | demand"},
    {CONTRAST, 0, "attack attacks offense offensive | defend defends defense defence defensive"},
    {CONTRAST, 0, "war | peace"},
    {CONTRAST, 0, "birth born | death died die"},
    {CONTRAST, 0,
     "cause causes | effect effects consequence consequences | symptom symptoms | treatment treatments cure"},
    {CONTRAST, 0, "prevent prevents avoid | cause causes induce"},
    {CONTRAST, 0, "theory theoretical | practice practical"},
    {CONTRAST, 0, "question questions | answer answers"},
    {CONTRAST, 0, "teacher teachers | student students pupil pupils"},
    {CONTRAST, 0, "employer employers | employee employees"},
    {CONTRAST, 0, "landlord landlords | tenant tenants | homeowner homeowners owner"},
    {CONTRAST, 0, "employed | unemployed | retired | freelance freelancer"},
    {CONTRAST, 0, "doctor doctors | patient patients | nurse nurses"},
    {CONTRAST, 0, "parent parents | child children"},
    {CONTRAST, 0, "adult adults | child children kid kids teenager teenagers"},
    {CONTRAST, 0, "ancestor ancestors | descendant descendants"},
    {CONTRAST, 0, "predecessor | successor"},
    {CONTRAST, 0, "majority | minority"},
    {CONTRAST, 0, "host hosts | guest guests"},
    {CONTRAST, 0, "client clients | server servers"},
    {CONTRAST, 0, "subject | object"},
    {CONTRAST, 0, "numerator | denominator"},
    {CONTRAST, 0, "sunrise dawn | sunset dusk"},
    {CONTRAST, 0, "day daytime | night nighttime"},
    {CONTRAST, 0, "morning | afternoon | evening | night"},
    {CONTRAST, 0, "weekday weekdays | weekend weekends"},
    {CONTRAST, 0, "daily | weekly | fortnightly biweekly | monthly | quarterly | yearly annual annually"},
    {CONTRAST, 0, "breakfast | lunch | dinner supper | brunch"},
    {CONTRAST, 0, "north northern | south southern | east eastern | west western"},
    {CONTRAST, 0, "asia | europe | africa | america"},
    {CONTRAST, 0, "he himself | she herself"},
    {CONTRAST, 0, "him | her"},
    {CONTRAST, 0, "his | her hers"},
    {CONTRAST, 0, "man men male males | woman women female females"},
    {CONTRAST, 0, "boy boys | girl girls"},
    {CONTRAST, 0, "guy guys | girl girls lady ladies"},
    {CONTRAST, 0, "husband husbands | wife wives"},
    {CONTRAST, 0, "boyfriend boyfriends | girlfriend girlfriends"},
    {CONTRAST, 0,
     "father dad | mother mum mom | son | daughter | brother | sister | uncle | aunt | grandfather grandpa | "
     "grandmother grandma"},
    {CONTRAST, 0, "king | queen | prince | princess"},
    {CONTRAST, 0, "actor actors | actress actresses"},
    {CONTRAST, 0, "red | blue | green | yellow | black | white | orange | purple | pink | brown | grey gray"},
    {CONTRAST, 0,
     "plus addition | minus subtraction | multiply multiplication multiplied | divide divided division quotient"},
    {CONTRAST, 0, "square squared | cube cubed"},
    {CONTRAST, 0, "area | perimeter circumference | volume | radius | diameter"},
    {CONTRAST, 0, "mean average | median | mode"},
    {CONTRAST, 0, "sine sin | cosine cos | tangent tan"},
    {CONTRAST, 0, "celsius centigrade | fahrenheit | kelvin"},
    {CONTRAST, 0, "length | width | height | depth | weight"},
    {CONTRAST, 0, "vegetarian vegetarians | vegan vegans"},
    {CONTRAST, 0, "prefix | suffix"},
    {CONTRAST, 0, "noun nouns | verb verbs | adjective adjectives | adverb adverbs"},
    {CONTRAST, 0, "singular | plural"},
    {CONTRAST, 0, "uppercase | lowercase"},
    {CONTRAST, 0, "clockwise | counterclockwise anticlockwise"},
    {CONTRAST, 0, "macro | micro"},
    {CONTRAST, 0, "hardware | software"},
    {CONTRAST, 0, "frontend | backend"},
    {CONTRAST, 0, "online | offline"},
    {CONTRAST, 0, "wired | wireless"},
    {CONTRAST, 0, "stack stacks | queue queues | heap heaps"},
    {CONTRAST, 0, "ipv4 | ipv6"},
    {CONTRAST, 0, "tcp | udp"},
    {CONTRAST, 0, "http | https"},
    {CONTRAST, 0,
     "hypo hypothyroidism hypoglycemia hypotension hypothermia | hyper hyperthyroidism hyperglycemia "
     "hypertension hyperthermia"},

    /* Words that a slip of the pen would make of each other. */
    {CONTRAST, 0, "desert deserts | dessert desserts"},
    {CONTRAST, 0, "causal | casual"},
    {CONTRAST, 0, "martial | marital"},
    {CONTRAST, 0, "united | untied"},
    {CONTRAST, 0, "sacred | scared"},
    {CONTRAST, 0, "moral morals | morale"},
    {CONTRAST, 0, "human humans | humane"},
    {CONTRAST, 0, "latter | later"},
    {CONTRAST, 0, "dinner | diner diners"},
    {CONTRAST, 0, "super | supper"},
    {CONTRAST, 0, "hopping hopped | hoping hoped"},
    {CONTRAST, 0, "silver | sliver"},
    {CONTRAST, 0, "barely | barley"},
    {CONTRAST, 0, "stripped | striped"},
    {CONTRAST, 0, "staring | starring"},
    {CONTRAST, 0, "scraped scraping | scrapped scrapping"},
    {CONTRAST, 0, "planed planing | planned planning"},
    {CONTRAST, 0, "cavalry | calvary"},

    /* ---- units and dates ------------------------------------------------------------------------------------------ */
    {UNIT, 0,
     "~m meter meters metre metres | km kilometer kilometers kilometre kilometres kms kph | cm centimeter centimeters "
     "centimetre centimetres | mm millimeter millimeters millimetre millimetres | nm nanometer nanometers | mi mile "
     "miles mph | yd yard yards | ft foot feet | inch inches"},
    {UNIT, 0,
     "~g gram grams gramme grammes | kg kilo kilos kilogram kilograms kgs | mg milligram milligrams | mcg ug microgram "
     "micrograms | ~t ton tons tonne tonnes | lb lbs pound pounds | oz ounce ounces | ~stone"},
    {UNIT, 0,
     "~l liter liters litre litres | ml milliliter milliliters millilitre millilitres | cl | gal gallon gallons | pint "
     "pints | quart quarts | ~cup ~cups | tbsp tablespoon tablespoons | tsp teaspoon teaspoons"},
    {UNIT, 0,
     "ms millisecond milliseconds | ~s ~sec ~secs seconds | ~min minute minutes mins | ~h hour hours hr hrs | day days "
     "| "
     "week weeks wk wks | month months | year years yr yrs | decade decades | century centuries | fortnight"},
    {UNIT, RM_GUARD__CURRENCY,
     "usd dollar dollars bucks | eur euro euros | gbp quid sterling | inr rupee rupees rs | jpy yen | cny yuan rmb "
     "| chf | cad | aud | krw won | cent cents | penny pence | btc bitcoin bitcoins | eth"},
    {UNIT, 0, "~c celsius centigrade degc | ~f fahrenheit degf | ~k kelvin"},
    {UNIT, 0,
     "~b byte bytes | ~kb kilobyte kilobytes kib | ~mb megabyte megabytes mib | ~gb gigabyte gigabytes gib gig "
     "gigs | ~tb terabyte terabytes tib | bit bits | mbps | gbps | kbps"},
    {UNIT, 0,
     "~w watt watts | kw kilowatt kilowatts | kwh | mw megawatt megawatts | ~v volt volts | ~a ~amp amps | hz hertz | "
     "khz | mhz | ghz | mah"},
    {UNIT, 0, "pct percent percents | bps | ~x times | ~am | ~pm | cal calorie calories | kcal | joule joules"},
    {DATE, 0,
     "monday mondays ~mon | tuesday tuesdays ~tue ~tues | wednesday wednesdays ~wed | thursday thursdays ~thu "
     "~thurs | friday fridays ~fri | saturday saturdays ~sat | sunday sundays ~sun"},
    {DATE, 0,
     "january ~jan | february ~feb | ~march ~mar | april ~apr | ~may | june ~jun | july ~jul | ~august ~aug | "
     "september ~sep ~sept | october ~oct | november ~nov | december ~dec"},
    {DATE, 0, "today todays | tomorrow tomorrows tmrw | yesterday yesterdays | tonight | nowadays"},
    {DATE, 0, "spring springtime | summer summertime | autumn | winter wintertime"},
    {DATE, 0, "christmas xmas | easter | halloween | thanksgiving | diwali | ramadan | hanukkah"},

    /* ---- numbers --------------------------------------------------------------------------------------------------- */
    {NUMBER, 0,
     "zero 0 | one 1 | two 2 | three 3 | four 4 | five 5 | six 6 | seven 7 | eight 8 | nine 9 | ten 10 | eleven "
     "11 | twelve 12 | thirteen 13 | fourteen 14 | fifteen 15 | sixteen 16 | seventeen 17 | eighteen 18 | "
     "nineteen 19 | twenty 20 | thirty 30 | forty 40 | fourty 40 | fifty 50 | sixty 60 | seventy 70 | eighty 80 "
     "| ninety 90 | hundred 100 | thousand 1000 | lakh 100000 | lac 100000 | million 1000000 | crore 10000000 "
     "| billion 1000000000 | trillion 1000000000000 | dozen 12 | mn 1000000 | bn 1000000000"},
    {NUMBER, RM_GUARD__ORDINAL,
     "first 1 | second 2 | third 3 | fourth 4 | fifth 5 | sixth 6 | seventh 7 | eighth 8 | ninth "
     "9 | tenth 10 | eleventh 11 | twelfth 12"},

    /* ---- languages --------------------------------------------------------------------------------------------------- */
    {LANGUAGE, 0,
     "the of and to is are was what how who why where when which can do does should in for with my i you it that this "
     "if "
     "have has not from by an be or | el los las una del que en por para con como cómo qué cuál dónde cuándo es está "
     "son "
     "mi se lo al puedo hay más pero y | le les des une du est sont que qui quoi comment pourquoi où quand dans pour "
     "avec "
     "je mon ma quel quelle quelles et ne pas sur au aux à dit ce cette puis | der die das den dem ein eine einen ist "
     "sind "
     "und "
     "wie was wer wo wann warum ich mein meine nicht mit für auf von zu im kann welche welcher es man | il lo gli un "
     "una "
     "di del della che come cosa chi dove quando perché è sono per con mio mia posso nel quale quali si e | o os as um "
     "uma do da dos das que em por para com como qual quem onde quando é são meu minha posso não se e | de het een van "
     "en "
     "is zijn wat hoe wie waar wanneer waarom ik mijn niet met voor op naar kan welke dat er te"},
};
#undef STOP
